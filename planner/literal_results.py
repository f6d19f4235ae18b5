"""Results of mutations that can be written from their values, without a database query.

These are most refusals, and the results of signing in. A result that reads a row is planned as a
statement.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_nullable_type,
)
from sqlalchemy import BindParameter

from planner.deferred import Deferred, FieldError, Unplannable, evaluate
from planner.outcome import MutationOutcome, OutcomeRow
from planner.selection import Selection
from planner.sources import Value, source_of


class NeedsDatabase(Exception):
    """A result with a field that is read from a row."""


def write_results(
    node: OperationDefinitionNode,
    selection: Selection,
    outcomes: Mapping[str, MutationOutcome | FieldError],
    request: object,
) -> bytes | None:
    """Return the response as JSON, or None if some part is read from the database."""
    root = selection.schema.mutation_type
    assert root is not None
    try:
        data = {
            key: mutation_result(key, nodes, selection, outcomes.get(key), request)
            for key, nodes in selection.fields(root, [node.selection_set]).items()
        }
    except (NeedsDatabase, Unplannable, GraphQLError):
        return None
    return orjson.dumps({"data": data})


def mutation_result(
    key: str,
    nodes: Sequence[FieldNode],
    selection: Selection,
    outcome: MutationOutcome | FieldError | None,
    request: object,
) -> Any:
    """Return the object of one of the mutation's fields."""
    if outcome is None or isinstance(outcome, FieldError):
        raise NeedsDatabase
    type_ = selection.schema.type_map[outcome.type]
    assert isinstance(type_, GraphQLObjectType)
    sets = [each.selection_set for each in nodes if each.selection_set]
    return {
        name: type_.name
        if inner[0].name.value == "__typename"
        else literal_value(type_.fields[inner[0].name.value], OutcomeRow(key), request)
        for name, inner in selection.fields(type_, sets).items()
    }


def literal_value(definition: GraphQLField, row: OutcomeRow, request: object) -> Any:
    """Return a leaf that is one of the outcome's own values."""
    source = source_of(definition)
    element = source.of(row) if isinstance(source, Value) else None
    if not isinstance(element, BindParameter) or not isinstance(element.value, Deferred):
        raise NeedsDatabase
    found = evaluate(element.value, request)
    if found is None and isinstance(definition.type, GraphQLNonNull):
        raise NeedsDatabase
    if found is not None and isinstance(get_nullable_type(definition.type), GraphQLList):
        return orjson.Fragment(found)
    return found
