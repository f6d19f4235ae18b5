"""The walk over a document: the fields that it selects, each with its definition.

Limits, scopes and the audit log of reads are all computed from the result. The document may be
invalid, since its size is measured before validation.
"""

from collections.abc import Iterator, Mapping
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
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
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
    """The selection of a selection set, on objects of `type`; None if the type is unknown.

    `fragments` are the selections of its fragments. Spreads of a fragment share one, so that the
    whole is linear in the document, and a fragment that spreads itself is part of itself.
    """

    type: Any
    fields: list["SelectedField"] = field(default_factory=list)
    fragments: list["SelectedFields"] = field(default_factory=list)
    directives: int = 0

    def everything(self, *, deep: bool = True) -> Iterator["SelectedField"]:
        """Yield all fields at any depth, or all of this level with those of its fragments.

        A field is yielded once for each type of object that has it: of a fragment on Node within a
        session, Session.
        """
        seen, waiting = set[tuple[SelectedFields, Any]](), [(self, self.type)]
        while waiting:
            selected, outer = waiting.pop()
            type_ = narrowed(outer, selected.type)
            if (selected, type_) in seen:
                continue
            seen.add((selected, type_))
            waiting += [(fragment, type_) for fragment in selected.fragments]
            for one in selected.fields:
                of_object = (
                    one if type_ is one.type else selected_field(type_, one.node, one.inside)
                )
                yield of_object
                if deep and of_object.inside:
                    waiting.append((of_object.inside, of_object.returned))


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
    def returned(self) -> GraphQLNamedType | None:
        """Return the type of the field's objects or values."""
        return get_named_type(self.definition.type) if self.definition else None

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
        # The selections of operations, by the identity of their nodes, and of spread fragments.
        self.operations: dict[int, SelectedFields] = {}
        self.spread: dict[str, SelectedFields] = {}

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
        return {one.node.name.value for one in self.operation(node).everything(deep=False)}

    def unused_fragments(self) -> Iterator[SelectedFields]:
        """Yield the selections of the fragments that no operation spreads."""
        for name in self.fragments.keys() - self.spread.keys():
            fragment = self.fragments[name]
            yield self.select(fragment.selection_set, self.condition(fragment))

    def select(self, set_: SelectionSetNode, type_: Any) -> SelectedFields:
        """Return the selection of a selection set on objects of a type."""
        whole = SelectedFields(type_)
        waiting = [(whole, set_)]
        while waiting:
            selected, set_ = waiting.pop()
            for node in set_.selections:
                selected.directives += len(node.directives or ())
                if isinstance(node, FieldNode):
                    one = selected_field(selected.type, node)
                    selected.fields.append(one)
                    if one.inside and node.selection_set:
                        waiting.append((one.inside, node.selection_set))
                elif isinstance(node, FragmentSpreadNode):
                    selected.fragments += self.spreads(node.name.value, waiting)
                elif isinstance(node, InlineFragmentNode):
                    inline = SelectedFields(self.condition(node) or selected.type)
                    selected.fragments.append(inline)
                    waiting.append((inline, node.selection_set))
        return whole

    def spreads(
        self, name: str, waiting: list[tuple[SelectedFields, SelectionSetNode]]
    ) -> Iterator[SelectedFields]:
        """Yield the selection of a fragment, if the document has it."""
        fragment = self.fragments.get(name)
        if fragment and name not in self.spread:
            self.spread[name] = SelectedFields(self.condition(fragment))
            waiting.append((self.spread[name], fragment.selection_set))
        if fragment:
            yield self.spread[name]

    def condition(self, fragment: FragmentDefinitionNode | InlineFragmentNode) -> Any:
        """Return the type that a fragment names, or None."""
        named = fragment.type_condition
        return self.schema.type_map.get(named.name.value) if named else None


def narrowed(outer: Any, condition: Any) -> Any:
    """Return the type of the objects that a fragment selects from, among objects of a type.

    A union has no fields of its own, so interface fields are looked up on its members.
    """
    return outer if is_object_type(outer) and not is_object_type(condition) else condition


def selected_field(
    type_: Any, node: FieldNode, inside: SelectedFields | None = None
) -> SelectedField:
    """Return a field of objects of a type, with a new selection if none is given."""
    name = node.name.value
    # A union itself has the field __typename only.
    definition = META_FIELDS.get(name) or getattr(type_, "fields", {}).get(name)
    if inside is None and node.selection_set:
        inside = SelectedFields(get_named_type(definition.type) if definition else None)
    return SelectedField(type_, definition, node, inside)
