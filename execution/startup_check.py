"""A check at start-up: every field of the schema is planned once for each kind of viewer.

A field without a source, a field for which no scopes are stated, a field that promises more than
its column holds, or a table read without its visibility predicate stops the server before the first
request.
"""

from collections.abc import Iterator

import strawberry
from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    is_composite_type,
    is_union_type,
    parse,
)
from graphql.execution.values import VariableValues

from execution.row_counts import TABLES
from execution.scopes import fields_without_scopes
from models import ViewerKind
from planner.builder import TreeBuilder
from planner.emitter import Outcomes, emit
from planner.selection import Selection
from planner.sources import MAX_SIZE, ConnectionField, source_of
from resolvers.field_facts import ReadAudit, facts_of, object_fields
from resolvers.visibility import Visibility


def check_schema(schema: strawberry.Schema, *, lateral: bool) -> None:
    """Plan documents with every field. Raise any error in a source."""
    core = schema._schema
    root = core.query_type
    assert root is not None
    check_facts(core)
    for kind in ViewerKind:
        plan(schema, kind, " ".join(everything(root, set())), lateral=lateral)
        for type_, field in outcomes(core).items():
            others = core.type_map.keys() - {type_.name}
            inside = " ".join(everything(type_, set(others)))
            asked = f"mutation {{ {field} {{ ... on {type_.name} {inside} }} }}"
            plan(schema, kind, asked, {field: type_.name}, lateral=lateral)


def check_facts(schema: GraphQLSchema) -> None:
    """Raise an error if the facts of a field are missing (`resolvers/field_facts.py`)."""
    if unstated := list(fields_without_scopes(schema)):
        raise TypeError(f"no scopes are stated for {', '.join(unstated)}")
    for type_, name, definition in object_fields(schema):
        source, facts = source_of(definition), facts_of(definition)
        is_long = isinstance(source, ConnectionField) and source.most > MAX_SIZE
        is_wide = {facts.audit is ReadAudit.PRACTICE_WIDE, facts.cost.scan is not None}
        if is_wide == {True, False} or (is_long and is_wide == {False}):
            raise TypeError(
                f"{type_.name}.{name} reads the whole practice: state its scan and its audit"
            )
        if facts.cost.scan and facts.cost.scan.table not in TABLES:
            raise TypeError(f"{type_.name}.{name} scans a table whose rows are not counted")


def plan(
    schema: strawberry.Schema,
    kind: ViewerKind,
    query: str,
    outcomes: Outcomes | None = None,
    *,
    lateral: bool,
) -> None:
    (operation,) = parse(query).definitions
    assert isinstance(operation, OperationDefinitionNode)
    selection = Selection(schema._schema, {}, VariableValues({}, {}))
    visible = Visibility(kind, digits=2, lateral=lateral)
    emit(TreeBuilder(schema, selection).operation(operation), visible, outcomes=outcomes)


def outcomes(schema: GraphQLSchema) -> dict[GraphQLObjectType, str]:
    """Return each result type of a mutation, with the name of such a mutation."""
    mutation = schema.mutation_type
    assert mutation is not None
    found: dict[GraphQLObjectType, str] = {}
    for name, field in mutation.fields.items():
        if source_of(field) is None:
            raise TypeError(f"Mutation.{name} has no source")
        result = get_named_type(field.type)
        found |= dict.fromkeys(result.types if is_union_type(result) else [result], name)
    return found


def everything(type_: GraphQLObjectType, seen: set[str]) -> Iterator[str]:
    """Yield a selection of all fields. Objects of a type are expanded at its first occurrence."""
    is_new = type_.name not in seen
    seen.add(type_.name)
    yield "{ __typename"
    for name, field in type_.fields.items():
        if source_of(field) is None:
            raise TypeError(f"{type_.name}.{name} has no source")
        inside = get_named_type(field.type)
        if not is_composite_type(inside):
            yield name
        elif is_new and isinstance(inside, GraphQLObjectType):
            yield f"{name}{facts_of(field).sample_arguments}"
            yield from everything(inside, seen)
    yield "}"
