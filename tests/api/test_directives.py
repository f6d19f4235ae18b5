"""Directives of `schema.graphql`: tools that read them find the server's costs and scopes."""

from typing import Any

import pytest
from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    get_directive_values,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    parse,
    value_from_ast_untyped,
)

from execution.selected_fields import SelectedDocument
from execution.size import Measure
from graph.directives import COST, LIST_SIZE, REQUIRES_SCOPES
from graph.schema import schema, sdl
from planner.selection import fragments_of
from resolvers.field_facts import object_fields, scopes_of_field
from tests.support.demo_server import PROJECT
from tests.support.example_operations import REPORTS, WRITTEN

SCHEMA = schema()._schema
# As other programs read it: without our sources and facts.
PUBLIC = build_schema((PROJECT / "schema.graphql").read_text())
PAGE = sorted((PROJECT / "web" / "portal" / "queries").glob("*.graphql"))
DOCUMENTS = {path.name: (path.read_text(), {"first": 7}) for path in PAGE} | WRITTEN | REPORTS


def values(directive: Any, node: Any) -> dict[str, Any]:
    return (node and get_directive_values(directive, node)) or {}


class CostOfSpecification:
    """The cost of an operation by IBM's specification, from the public schema alone."""

    def __init__(self, schema: GraphQLSchema, document: Any, variables: Any) -> None:
        self.schema, self.fragments, self.variables = schema, fragments_of(document), variables

    def selection(self, type_: Any, set_: Any, sized: dict[str, int]) -> int:
        total = 0
        for node in set_.selections:
            if isinstance(node, FieldNode):
                total += self.field(type_, node, sized)
                continue
            fragment = node
            if isinstance(node, FragmentSpreadNode):
                fragment = self.fragments[node.name.value]
            condition = fragment.type_condition
            inner = self.schema.type_map[condition.name.value] if condition else type_
            total += self.selection(inner, fragment.selection_set, sized)
        return total

    def field(self, type_: Any, node: Any, sized: dict[str, int]) -> int:
        name = node.name.value
        if name.startswith("__"):
            return 0
        definition = type_.fields[name]
        returned = get_named_type(definition.type)
        weight = values(COST, definition.ast_node).get("weight", is_composite_type(returned))
        if not node.selection_set:
            return int(weight)
        size = values(LIST_SIZE, definition.ast_node)
        items, inside = sized.get(name, 1), dict[str, int]()
        if size:
            asked = self.asked(node, size.get("slicingArguments", [])) or size["assumedSize"]
            inside = dict.fromkeys(size.get("sizedFields", []), asked)
            items = items if inside else asked
        return items * (int(weight) + self.selection(returned, node.selection_set, inside))

    def asked(self, node: Any, names: Any) -> int | None:
        given = [argument for argument in node.arguments or () if argument.name.value in names]
        numbers = [
            self.variables.get(argument.value.name.value)
            if argument.value.kind == "variable"
            else int(argument.value.value)
            for argument in given
        ]
        return max((number for number in numbers if number), default=None)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_cost_by_the_directives_is_the_servers(name: str) -> None:
    query, variables = DOCUMENTS[name]
    document = parse(query)
    node = next(n for n in document.definitions if isinstance(n, OperationDefinitionNode))
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in node.variable_definitions or ()
        if definition.default_value
    }
    by_specification = CostOfSpecification(PUBLIC, document, defaults | dict(variables))
    root = PUBLIC.get_root_type(node.operation)
    cost = by_specification.selection(root, node.selection_set, {})
    measured = Measure(SelectedDocument(SCHEMA, document), variables).operation(node).cost
    # The specification knows no slicing arguments that are lists, so any ids count as the most.
    assert cost >= measured if "nodes(ids:" in query else cost == measured


def test_each_list_of_objects_has_a_size() -> None:
    unsized = {
        f"{type_.name}.{name}"
        for type_, name, definition in object_fields(PUBLIC)
        if is_list_type(get_nullable_type(definition.type))
        if is_composite_type(get_named_type(definition.type))
        if not values(LIST_SIZE, definition.ast_node)
        if not type_.name.endswith("Connection")
    }
    assert unsized == set()


def test_scopes_by_the_directives_are_the_servers() -> None:
    """A field needs its own, those of its type, and those of the type that it returns."""

    def needed(node: Any) -> frozenset[str]:
        (alternative,) = values(REQUIRES_SCOPES, node).get("scopes", [[]])
        return frozenset(alternative)

    for type_, name, definition in object_fields(PUBLIC):
        told = needed(type_.ast_node) | needed(definition.ast_node)
        told |= needed(get_named_type(definition.type).ast_node)
        scopes = scopes_of_field(SCHEMA.type_map[type_.name], name)
        assert told == {scope.written for scope in scopes}, f"{type_.name}.{name}"


def test_printed_schema_has_the_directives_in_their_places() -> None:
    printed = sdl(schema())
    assert 'type Client implements Node @requiresScopes(scopes: [["billing:read"]]) {' in printed
    assert '  name: String! @requiresScopes(scopes: [["phi:read"]])\n' in printed
    assert '@cost(weight: "401")' in printed
