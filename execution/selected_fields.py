"""The walk over a document: the fields that it selects, each with its definition.

Limits, scopes and the audit log of reads are all computed from the result. The document may be
invalid, since its size is measured before validation.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    get_argument_values,
    get_named_type,
    is_object_type,
)
from graphql.execution.values import VariableValues
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef

from planner.selection import fragments_of
from planner.sources import Source, source_of
from resolvers.field_facts import NO_FACTS, FieldFacts, facts_of

META_FIELDS = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}


@dataclass(eq=False, slots=True)
class SelectedFields:
    """The fields of a selection set, with those of its inline fragments.

    `fragments` are the selections of its fragment spreads. Spreads of a fragment share one, so a
    fragment that spreads itself is part of itself.
    """

    fields: list["SelectedField"] = field(default_factory=list)
    fragments: list["SelectedFields"] = field(default_factory=list)
    directives: int = 0

    def at_root(self) -> Iterator["SelectedField"]:
        """Yield the fields of the selection and of its fragments, without the fields in them."""
        for selected in self.reached(lambda one: one.fragments):
            yield from selected.fields

    def everything(self) -> Iterator["SelectedField"]:
        """Yield all fields at any depth, those of a fragment once for each type."""
        for selected in self.reached(
            lambda one: [*one.fragments, *(two.inside for two in one.fields if two.inside)]
        ):
            yield from selected.fields

    def reached(
        self, step: Callable[["SelectedFields"], Iterable["SelectedFields"]]
    ) -> Iterator["SelectedFields"]:
        """Yield this selection and all that steps lead to, each once."""
        seen, waiting = set[SelectedFields](), [self]
        while waiting:
            selected = waiting.pop()
            if selected not in seen:
                seen.add(selected)
                yield selected
                waiting += step(selected)


@dataclass(frozen=True, eq=False, slots=True)
class SelectedField:
    """A field that a document selects: a field of `type`, the type of the object that has it.

    `inside` is its own selection. Unknown fields and `__typename` have no definition.
    """

    type: Any
    definition: GraphQLField | None
    node: FieldNode
    inside: SelectedFields | None

    @property
    def coordinate(self) -> str:
        return f"{self.type.name}.{self.node.name.value}"

    @property
    def facts(self) -> FieldFacts:
        return facts_of(self.definition) if self.definition else NO_FACTS

    @property
    def source(self) -> Source | None:
        return source_of(self.definition) if self.definition else None

    def arguments(self, variable_values: VariableValues) -> dict[str, Any] | None:
        """Return the coerced arguments, or None if execution will refuse them."""
        assert self.definition is not None
        try:
            return get_argument_values(self.definition, self.node, variable_values)
        except GraphQLError:
            return None


class SelectedDocument:
    """The selections of a document's operations and fragments."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.schema, self.document = schema, document
        # The selections of operations, by the identity of their nodes.
        self.operations: dict[int, SelectedFields] = {}
        # The selections of fragments, by their names and the types of the objects.
        self.spread: dict[tuple[str, Any], SelectedFields] = {}

    @cached_property
    def fragments(self) -> Mapping[str, FragmentDefinitionNode]:
        return fragments_of(self.document)

    def operation(self, node: OperationDefinitionNode) -> SelectedFields:
        """Return the selection of an operation of the document."""
        if id(node) not in self.operations:
            root = self.schema.get_root_type(node.operation)
            self.operations[id(node)] = self.select(node.selection_set, root)
        return self.operations[id(node)]

    def root_fields(self, node: OperationDefinitionNode) -> set[str]:
        """Return the names of an operation's root fields, including skipped ones."""
        return {one.node.name.value for one in self.operation(node).at_root()}

    def unused_fragments(self) -> Iterator[SelectedFields]:
        """Yield the selections of the fragments that no operation spreads."""
        for name in self.fragments.keys() - {name for name, _ in self.spread}:
            fragment = self.fragments[name]
            yield self.select(fragment.selection_set, self.narrowed(fragment, None))

    def select(self, set_: SelectionSetNode, type_: Any) -> SelectedFields:
        """Return the selection of a selection set on objects of a type."""
        whole = SelectedFields()
        waiting: list[tuple[SelectedFields, SelectionSetNode, Any]] = [(whole, set_, type_)]
        while waiting:
            selected, set_, type_ = waiting.pop()
            for node in set_.selections:
                selected.directives += len(node.directives or ())
                if isinstance(node, FieldNode):
                    one = selected_field(type_, node)
                    selected.fields.append(one)
                    if one.inside and node.selection_set:
                        inner = get_named_type(one.definition.type) if one.definition else None
                        waiting.append((one.inside, node.selection_set, inner))
                elif not isinstance(node, FragmentSpreadNode):
                    fragment: Any = node
                    waiting.append((selected, fragment.selection_set, self.narrowed(node, type_)))
                elif fragment := self.fragments.get(node.name.value):
                    key = node.name.value, self.narrowed(fragment, type_)
                    if key not in self.spread:
                        self.spread[key] = SelectedFields()
                        waiting.append((self.spread[key], fragment.selection_set, key[1]))
                    selected.fragments.append(self.spread[key])
        return whole

    def narrowed(self, fragment: Any, type_: Any) -> Any:
        """Return the type of the objects that a fragment selects from, among objects of a type.

        For a fragment on Node within a session it is Session. A union has no fields of its own, so
        interface fields are looked up on its members.
        """
        if fragment.type_condition is None:
            return type_
        condition = self.schema.type_map.get(fragment.type_condition.name.value)
        return type_ if is_object_type(type_) and not is_object_type(condition) else condition


def selected_field(type_: Any, node: FieldNode) -> SelectedField:
    name = node.name.value
    # A union itself has the field __typename only.
    definition = META_FIELDS.get(name) or getattr(type_, "fields", {}).get(name)
    return SelectedField(type_, definition, node, SelectedFields() if node.selection_set else None)
