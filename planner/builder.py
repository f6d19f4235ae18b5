"""The first step of the planner: a validated operation becomes a plan tree.

The builder walks the selection as the GraphQL specification collects fields. It calls no source and
writes no SQL, so a tree depends on the schema, the document and the variables only.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLUnionType,
    OperationDefinitionNode,
    SelectionSetNode,
    get_argument_values,
    get_named_type,
)
from strawberry import Schema
from strawberry.types.arguments import convert_arguments

from planner.deferred import FieldError, Unplannable
from planner.selection import Selection
from planner.sources import (
    ConnectionField,
    ConnectionItems,
    Embedded,
    EmbeddedList,
    MutationField,
    NodeById,
    NodesByIds,
    PageFact,
    PageValue,
    Source,
    ToMany,
    ToOne,
    Value,
    ViewerField,
    source_of,
)
from planner.tree import (
    ConnectionPlan,
    EmbeddedListPlan,
    EmbeddedPlan,
    FieldPlan,
    LeafPlan,
    NodeListPlan,
    NodePlan,
    ObjectPlan,
    OperationPlan,
    PageBounds,
    PageFactPlan,
    PageItemsPlan,
    PageUse,
    RefusalPlan,
    ResolverPlan,
    ResultPlan,
    RowListPlan,
    RowPlan,
    TypeNamePlan,
    ValuePlan,
)

PAGE_ARGUMENTS = ("first", "after", "last", "before")
# Facts that are read from the rows of a page, whether it is cut forward or backward.
CURSORS = frozenset({PageFact.START_CURSOR, PageFact.END_CURSOR})


@dataclass(frozen=True)
class MutationCall:
    """A field of a mutation: its response key, its source, and `run`, which takes the context."""

    response_key: str
    source: MutationField
    node: FieldNode
    run: Callable[[Any], Awaitable[Any]]


class TreeBuilder:
    """A builder of plan trees from the operations of one document with its variables."""

    def __init__(self, schema: Schema, selection: Selection) -> None:
        self.selection = selection
        self.core = selection.schema
        self.converter = schema.schema_converter

    def operation(self, node: OperationDefinitionNode) -> OperationPlan:
        root = self.core.get_root_type(node.operation)
        if root is None:
            raise Unplannable("no such operations")
        name = node.name.value if node.name else None
        return OperationPlan(node.operation.value, name, self.object(root, [node.selection_set]))

    def mutation_calls(self, node: OperationDefinitionNode) -> Iterator[MutationCall]:
        """Yield a mutation's fields in their order.

        The arguments of all fields are read before the first field runs. Raise GraphQLError if an
        argument or a directive cannot be read.
        """
        root = self.core.mutation_type
        assert root is not None
        for key, nodes in self.selection.fields(root, [node.selection_set]).items():
            definition = root.fields.get(nodes[0].name.value)
            source = definition and source_of(definition)
            if definition is None or not isinstance(source, MutationField):
                continue
            try:
                arguments = self.arguments(definition, nodes[0])
            except FieldError as refusal:
                raise located_error(refusal.code, str(refusal), nodes[0]) from None
            yield MutationCall(key, source, nodes[0], partial(source.act, **arguments))

    # -- objects and fields ------------------------------------------------------------------------

    def object(self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> ObjectPlan:
        try:
            selected = self.selection.fields(type_, sets)
        except GraphQLError as error:
            return ObjectPlan(type_.name, (), error.with_traceback(None))
        fields = (self.field(type_, key, nodes) for key, nodes in selected.items())
        return ObjectPlan(type_.name, tuple(fields))

    def field(self, type_: GraphQLObjectType, key: str, nodes: Sequence[FieldNode]) -> FieldPlan:
        name = nodes[0].name.value
        if name == "__typename":
            return FieldPlan(key, name, TypeNamePlan(type_.name), nodes[0])
        definition = type_.fields.get(name)
        source = definition and source_of(definition)
        if definition is None or source is None:
            return FieldPlan(key, name, ResolverPlan(), nodes[0])
        value: ValuePlan
        try:
            value = self.value(definition, source, nodes)
        except FieldError as refusal:
            value = RefusalPlan(refusal.code, str(refusal))
        return FieldPlan(key, name, value, nodes[0])

    def value(
        self, definition: GraphQLField, source: Source, nodes: Sequence[FieldNode]
    ) -> ValuePlan:
        """Return the value of a field, depending on the kind of its source."""
        type_, sets = definition.type, [n.selection_set for n in nodes if n.selection_set]
        match source:
            case Value() | ViewerField():
                return LeafPlan(source, type_)
            case PageValue(fact):
                return PageFactPlan(fact, type_)
            case EmbeddedList():
                return EmbeddedListPlan(source, self.object(object_type(type_), sets))
            case ConnectionItems():
                return PageItemsPlan(source, self.object(object_type(type_), sets))
            case MutationField():
                return ResultPlan(source, self.results(type_, sets))
        arguments = self.arguments(definition, nodes[0])
        match source:
            case Embedded():
                return EmbeddedPlan(source, arguments, self.object(object_type(type_), sets))
            case ToOne(rows):
                is_nullable = not isinstance(type_, GraphQLNonNull)
                inside = self.object(object_type(type_), sets)
                return RowPlan(rows, arguments, inside, is_nullable)
            case ToMany(rows, _):
                return RowListPlan(rows, arguments, self.object(object_type(type_), sets))
            case ConnectionField():
                return self.connection(source, arguments, self.object(object_type(type_), sets))
            case NodeById(pick):
                name, rows = pick(**arguments)
                inside = self.object(self.type_named(name), sets)
                return NodePlan(source, arguments, rows, inside)
            case NodesByIds(rows, kinds):
                objects = {
                    prefix: (kind, self.object(self.type_named(kind.name), sets))
                    for prefix, kind in kinds.items()
                }
                return NodeListPlan(rows, arguments, objects)

    def connection(
        self, source: ConnectionField[Any], arguments: dict[str, Any], page: ObjectPlan
    ) -> ConnectionPlan:
        bounds = PageBounds(**{name: arguments.pop(name, None) for name in PAGE_ARGUMENTS})
        if source.tells_start:
            arguments["from_start"] = bounds.from_start
        return ConnectionPlan(source, arguments, bounds, page_use(page, bounds), page)

    def results(
        self, type_: GraphQLOutputType, sets: Sequence[SelectionSetNode]
    ) -> Mapping[str, ObjectPlan]:
        """Return the fields of a mutation's result, for each possible type."""
        named: Any = get_named_type(type_)
        members = named.types if isinstance(named, GraphQLUnionType) else (named,)
        return {member.name: self.object(member, sets) for member in members}

    def arguments(self, definition: GraphQLField, node: FieldNode) -> dict[str, Any]:
        """Return the arguments as Strawberry would pass them, with `Deferred` for variables."""
        if not definition.args:
            return {}
        try:
            values = get_argument_values(definition, node, self.selection.variables)
        except GraphQLError as error:
            raise FieldError("BAD_USER_INPUT", error.message) from None
        return convert_arguments(
            values,
            definition.extensions["strawberry-definition"].arguments,
            scalar_registry=self.converter.scalar_registry,
            config=self.converter.config,
        )

    def type_named(self, name: str) -> GraphQLObjectType:
        return object_type(self.core.type_map[name])  # type: ignore[arg-type]


def page_use(page: ObjectPlan, bounds: PageBounds) -> PageUse:
    """Return the use of a page, given the selected fields of its connection."""
    facts = frozenset(page_facts(page))
    items = [field.key for field in page.fields if isinstance(field.value, PageItemsPlan)]
    extra_row = PageFact.HAS_PREVIOUS if bounds.is_backward else PageFact.HAS_NEXT
    peeks = bool(facts - {PageFact.TOTAL})
    return PageUse(
        reads_rows=bool(items) or not facts.isdisjoint(CURSORS | {extra_row}),
        peeks=peeks,
        is_ranked=peeks or bounds.is_backward,
        counted_key=items[0] if items else None,
    )


def page_facts(page: ObjectPlan) -> Iterator[PageFact]:
    """Yield the facts of a page that are selected in a connection or its `pageInfo`."""
    for field in page.fields:
        match field.value:
            case PageFactPlan(fact, _):
                yield fact
            case EmbeddedPlan():
                yield from page_facts(field.value.object)


def object_type(type_: GraphQLOutputType) -> GraphQLObjectType:
    named = get_named_type(type_)
    assert isinstance(named, GraphQLObjectType)
    return named


def located_error(code: str, message: str, node: FieldNode) -> GraphQLError:
    """Return a refusal as an error of the whole request, with the field's location."""
    return GraphQLError(message, [node], extensions={"code": code})
