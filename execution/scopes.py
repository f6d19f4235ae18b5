"""The scopes that an operation needs, and the refusal of requests without them.

The fields in `graph/` state their scopes. There is an error for each missing scope.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLSchema, get_named_type
from graphql.execution.values import VariableValues

from execution.selected_fields import SelectedField
from models import Scope
from planner.operation import Errors, graphql_error
from planner.sources import NodeById, NodesByIds, source_of
from resolvers import nodes
from resolvers.field_facts import (
    NO_SCOPE,
    PHI,
    Scopes,
    facts_of,
    item_type,
    object_fields,
    scopes_of_field,
    scopes_of_type,
)
from resolvers.ids import id_prefix


def fields_without_scopes(schema: GraphQLSchema) -> Iterator[str]:
    """Yield the fields for which no scopes are stated.

    A text may be health information, so a field of one that does not need `phi:read` states its
    scopes itself.
    """
    for type_, name, definition in object_fields(schema):
        stated = [facts_of(definition).scopes]
        is_text = get_named_type(definition.type).name == "String"
        if not is_text or scopes_of_field(type_, name) >= PHI:
            stated += [scopes_of_type(type_), scopes_of_type(item_type(definition))]
        if all(scopes is None for scopes in stated):
            yield f"{type_.name}.{name}"


@dataclass(frozen=True)
class RequiredScopes:
    """The scopes that an operation needs for its fields, and its fields with relevant arguments."""

    fields: Mapping[str, Scopes]
    with_arguments: Sequence[SelectedField]
    # All scopes that the operation can need with any arguments.
    most: Scopes

    def lacking(
        self,
        schema: GraphQLSchema,
        variables: VariableValues | Errors,
        held: Scopes,
    ) -> Mapping[Scope, list[str]]:
        """Return the requested fields for each scope that the token lacks."""
        if held >= self.most:
            return {}
        lacking = defaultdict(list)
        asked = {**self.fields, **self.by_arguments(schema, variables)}
        for coordinate, scopes in sorted(asked.items()):
            for scope in scopes - held:
                lacking[scope].append(coordinate)
        return lacking

    def by_arguments(
        self, schema: GraphQLSchema, variables: VariableValues | Errors
    ) -> Mapping[str, Scopes]:
        if not isinstance(variables, VariableValues):
            return {}
        return dict(
            use for one in self.with_arguments for use in uses_of_arguments(schema, one, variables)
        )


def uses_of_arguments(
    schema: GraphQLSchema, selected: SelectedField, variable_values: VariableValues
) -> Iterator[tuple[str, Scopes]]:
    """Yield the uses of data in a field's arguments, each with the scopes that it needs.

    An id uses the id field of its type, since the response reveals that the object exists.
    """
    arguments = selected.arguments(variable_values)
    if arguments is None:
        return
    if finds_by_id(selected):
        ids = arguments["ids"] if "ids" in arguments else [arguments["id"]]
        yield from ((f"{type_.name}.id", scopes) for type_, scopes in types_of_ids(schema, ids))
    for name, stated in selected.facts.argument_scopes.items():
        if stated.applies(arguments):
            yield f"{selected.coordinate}({name})", stated.scopes


def finds_by_id(selected: SelectedField) -> bool:
    """Return whether a field finds objects of any type by their ids."""
    source = source_of(selected.definition) if selected.definition else None
    return isinstance(source, NodeById | NodesByIds)


def types_of_ids(schema: GraphQLSchema, ids: Iterable[str]) -> Iterator[tuple[Any, Scopes]]:
    """Yield the types that ids, or the prefixes of ids, belong to, each with its ids' scopes."""
    for kind in set(map(id_prefix, ids)) & nodes.FOUND.keys():
        type_ = schema.type_map[nodes.FOUND[kind][0]]
        yield type_, scopes_of_field(type_, "id")


def scopes_by_arguments(schema: GraphQLSchema, selected: SelectedField) -> Scopes:
    """Return all scopes that a field can need because of its arguments."""
    by_id = types_of_ids(schema, nodes.FOUND) if finds_by_id(selected) else ()
    stated = selected.facts.argument_scopes.values()
    return NO_SCOPE.union(*(scopes for _, scopes in by_id), *(one.scopes for one in stated))


def required_scopes(schema: GraphQLSchema, selected: Iterable[SelectedField]) -> RequiredScopes:
    """Return the scopes needed by all fields that an operation selects, including skipped ones."""
    fields: dict[str, Scopes] = {}
    with_arguments: list[SelectedField] = []
    most = NO_SCOPE
    for one in selected:
        if scopes := scopes_of_field(one.type, one.node.name.value):
            fields[one.coordinate] = scopes
        if by_arguments := scopes_by_arguments(schema, one):
            with_arguments.append(one)
        most |= scopes | by_arguments
    return RequiredScopes(fields, with_arguments, most)


def scopes_required(lacking: Mapping[Scope, Sequence[str]]) -> list[GraphQLError]:
    """Return the errors that refuse the request: for each scope, the fields that need it."""
    return [scope_required(scope, lacking[scope]) for scope in Scope if scope in lacking]


def scope_required(scope: Scope, coordinates: Sequence[str]) -> GraphQLError:
    named = ", ".join(coordinates)
    error = graphql_error("SCOPE_REQUIRED", f"needs the scope {scope.written}: {named}")
    more = {"scope": scope.written, "fields": list(coordinates)}
    error.extensions = {**(error.extensions or {}), **more}
    return error
