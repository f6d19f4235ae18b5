"""The walk over the selections of a document: each selected field, with its definition."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    SelectionSetNode,
    get_argument_values,
    get_named_type,
    is_object_type,
    is_union_type,
)
from graphql.execution.values import VariableValues

from planner.operation import Operation
from planner.selection import fragments_of
from resolvers.field_facts import NO_FACTS, FieldFacts, facts_of


@dataclass(frozen=True, eq=False)
class SelectedField:
    """A field that a document selects, of the type of the object that has the field.

    `__typename` and introspection fields have no definition.
    """

    type: Any
    definition: GraphQLField | None
    node: FieldNode

    @property
    def coordinate(self) -> str:
        return f"{self.type.name}.{self.node.name.value}"

    @property
    def facts(self) -> FieldFacts:
        return facts_of(self.definition) if self.definition else NO_FACTS

    def arguments(self, variable_values: VariableValues) -> dict[str, Any] | None:
        """Return the coerced arguments, or None if execution will refuse them."""
        assert self.definition is not None
        try:
            return get_argument_values(self.definition, self.node, variable_values)
        except GraphQLError:
            return None


def selected_fields(schema: GraphQLSchema, operation: Operation) -> Iterator[SelectedField]:
    """Yield all fields that a valid operation names, including skipped ones.

    For a fragment on Node within a session, the type is Session.
    """
    fragments, opened = fragments_of(operation.document), set[tuple[str, str]]()
    waiting: list[tuple[SelectionSetNode, Any]] = [
        (operation.node.selection_set, schema.get_root_type(operation.node.operation))
    ]
    while waiting:
        set_, type_ = waiting.pop()
        for node in set_.selections:
            if isinstance(node, FieldNode):
                # A union itself has the field __typename only.
                definition = getattr(type_, "fields", {}).get(node.name.value)
                yield SelectedField(type_, definition, node)
                if node.selection_set and definition:
                    waiting.append((node.selection_set, get_named_type(definition.type)))
                continue
            fragment: Any = node
            if isinstance(node, FragmentSpreadNode):
                fragment = fragments[node.name.value]
                if (node.name.value, type_.name) in opened:
                    continue
                opened.add((node.name.value, type_.name))
            waiting.append((fragment.selection_set, narrowed(schema, fragment, type_)))


def narrowed(schema: GraphQLSchema, fragment: Any, type_: Any) -> Any:
    """Return the type of the objects that a fragment selects from, among objects of a type.

    A union has no fields of its own, so interface fields are looked up on its members.
    """
    if fragment.type_condition is None:
        return type_
    condition = schema.type_map[fragment.type_condition.name.value]
    return condition if is_object_type(condition) or is_union_type(type_) else type_
