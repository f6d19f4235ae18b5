"""The reference executor: graphql-core, reading every planned field from one exact result.

The operation is planned with the request's own values and without shortcuts. Its result contains
refusals and unexpected nulls, which graphql-core reports. All GraphQL errors come from here.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLUnionType,
    execute_sync,
    get_nullable_type,
)

from planner.operation import Errors, Operation, graphql_error, with_code
from planner.plan import ExecutedPlan
from planner.sources import source_of

# The beginning of GraphQL's message about a null for a non-null type.
NULL_FOR_NON_NULL = "Cannot return null for non-nullable field"

# Errors in a response. A list may have an error in each of its items.
MOST_ERRORS = 100

log = logging.getLogger("portal")


@dataclass(frozen=True)
class Answer:
    """A response body as JSON. Without data, the whole request was refused."""

    body: bytes
    has_data: bool
    # The plan that produced the response, if any.
    planned: ExecutedPlan | None = None
    # The errors of a refused request.
    errors: Errors = ()
    # Whether the request was a mutation that was run.
    is_change: bool = False


def error_answer(errors: Errors) -> Answer:
    """Return the response that refuses the whole request."""
    body = orjson.dumps({"errors": [error.formatted for error in errors]})
    return Answer(body, has_data=False, errors=errors)


def execute(
    schema: GraphQLSchema,
    operation: Operation,
    variables: Mapping[str, Any],
    root: Any,
    request_id: str | None = None,
) -> Answer:
    """Execute the operation with graphql-core over the result of an exact statement.

    `request_id` is reported with an internal error.
    """
    name = operation.node.name
    result = execute_sync(
        schema,
        operation.document,
        root_value=root,
        variable_values=dict(variables),
        operation_name=name.value if name else None,
        hide_suggestions=True,
    )
    errors = [public_error(error, request_id) for error in (result.errors or ())[:MOST_ERRORS]]
    if result.data is None and all(error.path is None for error in errors):
        return error_answer(errors)
    body: dict[str, Any] = {"data": result.data}
    if errors:
        body["errors"] = [error.formatted for error in errors]
    return Answer(orjson.dumps(body), has_data=True)


def public_error(error: GraphQLError, request_id: str | None) -> GraphQLError:
    """Return an error for the client: with a code, and without details of a bug."""
    bug = error.original_error
    if bug is None or isinstance(bug, GraphQLError):
        return with_code(error, "BAD_USER_INPUT")
    log.error("a field failed: %s", error.path, exc_info=bug)
    internal = {"code": "INTERNAL"}
    if request_id is not None:
        internal["requestId"] = request_id
    if error.message.startswith(NULL_FOR_NON_NULL):
        error.extensions = internal
        return with_code(error, "INTERNAL")
    return GraphQLError("internal error", error.nodes, path=error.path, extensions=internal)


def install(schema: GraphQLSchema) -> None:
    """Let graphql-core read every field that has a source from the statement's result."""
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            type_.resolve_type = lambda value, *_: value["$type"]
        if isinstance(type_, GraphQLObjectType):
            type_.is_type_of = None
            for field in type_.fields.values():
                if source_of(field):
                    field.resolve = by_response_key


def by_response_key(source: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
    value = source[info.path.key]
    if isinstance(value, dict) and "$refused" in value:
        raise graphql_error(*value["$refused"])
    return parse_leaf(info.return_type, value)


def parse_leaf(type_: GraphQLOutputType, value: Any) -> Any:
    """Convert JSON to the values that graphql-core serializes: only enum names need converting."""
    bare = get_nullable_type(type_)
    if value is None:
        return None
    if isinstance(bare, GraphQLList):
        return [parse_leaf(bare.of_type, item) for item in value]
    if isinstance(bare, GraphQLEnumType):
        return bare.parse_value(value)
    return value
