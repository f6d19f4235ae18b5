"""Oracle of correct answers, computed in Python from rows that plain selects have read.

The planner and its fallback share their sources, and would share a mistake in one. The oracle
shares only the schema's text and the tables with them; its rules are the domain's. README.md in
this folder says what it proves, and how to read a failure.
"""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.oracle import scalars
from tests.oracle.clients import Query
from tests.oracle.scopes import needed
from tests.oracle.shown import shown
from tests.oracle.world import Tables, World, read, refusal, snake

CONTRACT = Path(__file__).parents[2] / "schema.graphql"


class Oracle:
    """The oracle over the rows of a small database, as they were when it was made."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.schema = build_schema(CONTRACT.read_text())
        scalars.install(self.schema)

    @classmethod
    async def over(cls, engine: AsyncEngine) -> "Oracle":
        return cls(await read(engine))

    def answer(
        self,
        query: str,
        variables: Mapping[str, Any],
        token_id: str,
        now: dt.datetime,
        operation_name: str | None = None,
    ) -> dict[str, Any]:
        """Return the response to the holder of a token, before its conversion to JSON."""
        world = World(self.tables, token_id, now)
        try:
            document, node = self.understood(query, operation_name)
        except GraphQLError as error:
            return {"errors": [error.formatted]}
        away = self.turned_away(document, node, variables, world) or self.unreadable(
            node, variables
        )
        if away is not None:
            return {"errors": [away.formatted]}
        result = execute_sync(
            self.schema,
            document,
            root_value=Query(world, None),
            variable_values=dict(variables),
            operation_name=operation_name,
            field_resolver=resolve,
            type_resolver=lambda thing, *_: type(thing).__name__,
        )
        errors = [coded(error, "BAD_USER_INPUT").formatted for error in result.errors or ()]
        return {"data": result.data} | ({"errors": errors} if errors else {})

    def understood(
        self, query: str, operation_name: str | None
    ) -> tuple[DocumentNode, OperationDefinitionNode]:
        """Return the document and its operation, after validating both."""
        try:
            document = parse(query)
        except GraphQLError as error:
            raise coded(error, "GRAPHQL_PARSE_FAILED") from None
        node = get_operation_ast(document, operation_name)
        if node is None:
            raise refusal("OPERATION_RESOLUTION_FAILURE")
        if errors := validate(self.schema, document):
            raise coded(errors[0], "GRAPHQL_VALIDATION_FAILED")
        return document, node

    def turned_away(
        self,
        document: DocumentNode,
        node: OperationDefinitionNode,
        variables: Mapping[str, Any],
        world: World,
    ) -> GraphQLError | None:
        """Return the refusal of the whole request, if a scope is missing."""
        asked = needed(self.schema, document, node, variables)
        return refusal("SCOPE_REQUIRED") if asked - {*world.token.scopes} else None

    def unreadable(
        self, node: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> GraphQLError | None:
        """Return the error of a variable with another type than declared."""
        given = get_variable_values(self.schema, node.variable_definitions or (), dict(variables))
        return coded(given[0], "BAD_USER_INPUT") if isinstance(given, list) else None


def resolve(thing: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """Resolve a field as the row's attribute, called with the field's arguments if it
    is callable.
    """
    value = getattr(thing, snake(info.field_name))
    if callable(value):
        value = value(**{snake(name): given for name, given in arguments.items()})
    return shown(thing.world, info.return_type, value)


def coded(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {"code": code} | (error.extensions or {})
    return error
