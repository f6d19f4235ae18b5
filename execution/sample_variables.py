"""Variables that a query may be sent with, as far as its document tells.

A plan depends on the shapes of the variables only. So the shapes of most requests can be planned
before the first one: values that are there or omitted, and ids of the types that are looked up.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from types import MappingProxyType
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    VariableNode,
    get_nullable_type,
    is_non_null_type,
)
from graphql.execution.values import VariableValues

from execution.prepared_operation import PreparedOperation
from execution.scopes import finds_by_id
from execution.selected_fields import SelectedField
from planner.operation import coerce_variables
from resolvers import nodes
from resolvers.ids import PREFIXES

# A value of each scalar; others take any text.
SCALARS: Mapping[str, Any] = MappingProxyType(
    {
        "Int": 1,
        "Float": 1.0,
        "Date": "2026-01-01",
        "DateTime": "2026-01-01T00:00:00Z",
        "Decimal": "1.00",
    }
)
KINDS_OF_TYPES = {name: kind for kind, (name, _) in nodes.FOUND.items()}
NO_ROW = str(uuid.UUID(int=0))
OMITTED = object()


def sample_variables(
    schema: GraphQLSchema, prepared: PreparedOperation, most: int
) -> Iterator[VariableValues]:
    """Yield up to `most` sets of variables: all given, all omitted, and then mixtures.

    A variable that may be omitted is not also given as null.
    """
    operation = prepared.operation
    prefixes = id_prefixes(prepared)
    choices: dict[str, list[Any]] = {}
    for definition in operation.node.variable_definitions or ():
        name = definition.variable.name.value
        type_ = operation.types[name]
        given = samples(type_, prefixes.get(name) or sorted(PREFIXES))
        is_optional = not is_non_null_type(type_) or definition.default_value is not None
        choices[name] = [*given, *([OMITTED] if is_optional else [])]
    for values in islice(mixtures(list(choices.values())), most):
        given_values = {
            name: value for name, value in zip(choices, values, strict=True) if value is not OMITTED
        }
        coerced = coerce_variables(schema, operation, given_values)
        if isinstance(coerced, VariableValues):
            yield coerced


def mixtures(choices: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield all combinations of choices; the second one omits whatever may be omitted."""
    combinations = product(*choices)
    yield next(combinations)
    least = tuple(OMITTED if OMITTED in each else each[0] for each in choices)
    if any(value is OMITTED for value in least):
        yield least
    yield from (each for each in combinations if each != least)


def samples(type_: GraphQLInputType, prefixes: Sequence[str]) -> list[Any]:
    """Return a value for each shape that a variable of this type may have, if it is not null."""
    bare = get_nullable_type(type_)
    if isinstance(bare, GraphQLList):
        return [[samples(bare.of_type, prefixes)[0]]]
    if isinstance(bare, GraphQLEnumType):
        return list(bare.values)
    if isinstance(bare, GraphQLInputObjectType):
        return input_objects(bare, prefixes)
    if bare.name == "Boolean":
        return [True, False]
    if bare.name == "ID":
        return [f"{prefix}_{NO_ROW}" for prefix in prefixes]
    return [SCALARS.get(bare.name, "x")]


def input_objects(type_: GraphQLInputObjectType, prefixes: Sequence[str]) -> list[Any]:
    """Return an object with all fields, and one with the required ones. For a OneOf object, return
    one with each field.
    """
    fields = {name: samples(field.type, prefixes)[0] for name, field in type_.fields.items()}
    if type_.is_one_of:
        return [{name: value} for name, value in fields.items()]
    required = {
        name: value
        for name, value in fields.items()
        if isinstance(type_.fields[name].type, GraphQLNonNull)
    }
    return [fields, required] if required and required != fields else [fields]


def id_prefixes(prepared: PreparedOperation) -> dict[str, list[str]]:
    """Return the prefixes of the ids that variables stand for, by the fields that look them up."""
    found: dict[str, list[str]] = {}
    for selected in prepared.selected.operation(prepared.operation.node).everything():
        for argument in selected.node.arguments or ():
            if isinstance(argument.value, VariableNode):
                name = argument.value.name.value
                found.setdefault(name, []).extend(looked_up(selected))
    return found


def looked_up(selected: SelectedField) -> list[str]:
    """Return the prefixes of the ids of the objects that a field looks up."""
    inside = selected.inside
    if inside is None or selected.returned is None:
        return []
    types = (
        {one.type.name for one in inside.everything(deep=False) if one.type}
        if finds_by_id(selected)
        else {selected.returned.name}
    )
    return sorted(KINDS_OF_TYPES[name] for name in types & KINDS_OF_TYPES.keys())
