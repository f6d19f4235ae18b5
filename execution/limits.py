"""Limits on the size of an operation, computed before validation.

One pass, linear in the document: each fragment is measured once, however often it is spread. The
numbers describe the operation with all fragments expanded.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef

from execution.field_cost import cost, nested, scan, selects
from identity.viewer import Viewer
from planner.cache import FairCache
from planner.operation import ENDLESS, Errors, limited
from planner.pagination import DEFAULT_SIZE
from planner.selection import fragments_of
from planner.sources import (
    ConnectionField,
    ConnectionItems,
    MutationField,
    NodesByIds,
    ToMany,
    source_of,
)
from resolvers import nodes

# Characters of a document. A query for the whole billing page has about a thousand.
MAX_LENGTH = 100_000
MAX_FIELDS = 500
MAX_DEPTH = 20
MAX_LISTS = 4
# Nested objects of other rows: the parser stack of SQLite before 3.46 has no room for more.
MAX_NESTING = 5
# SELECTs in the statement, which determine the time to plan it.
MAX_SELECTS = 400
MAX_ALIASES = 200
MAX_DIRECTIVES = 100
# Mutation fields, which run one after another: each may wait for Stripe.
MAX_CHANGES = 10
# Objects in a response. A page of 500 with an object in each item has 1,000.
MAX_COST = 25_000
# Assumed items of a list without pages, such as lines of an invoice or cards of a client.
UNPAGED = 10
INTROSPECTION = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}

# Characters of documents in the cache.
REMEMBERED = 2**18
Key = tuple[str, str | None]
# Runs work of a caller outside the event loop.
RunInThread = Callable[..., Awaitable[Any]]

ADVICE = {
    "fields": (MAX_FIELDS, "Request fewer fields, or split the operation."),
    "depth": (MAX_DEPTH, "Request the inner objects by their ids, in another operation."),
    "lists": (MAX_LISTS, "Request the inner lists by their parents' ids, in another operation."),
    "nesting": (
        MAX_NESTING,
        "Request the inner objects by their ids, in another operation.",
    ),
    "selects": (MAX_SELECTS, "Request fewer lists and objects, or split the operation."),
    "aliases": (MAX_ALIASES, "Split the operation."),
    "directives": (MAX_DIRECTIVES, "Omit unwanted fields instead of skipping them."),
    "changes": (MAX_CHANGES, "Send the mutation fields in several operations."),
    "cost": (MAX_COST, "Request smaller pages with `first` or `last`."),
}


@dataclass
class Size:
    """The size of a selection with its fragments expanded."""

    fields: int = 0
    depth: int = 0
    lists: int = 0
    nesting: int = 0
    selects: int = 0
    aliases: int = 0
    directives: int = 0
    changes: int = 0
    cost: int = 0
    # Weighted number of reads of a practice's rows, by table.
    scans: dict[str, float] = field(default_factory=dict)

    def add(self, other: "Size") -> None:
        """Add a selection at the same level."""
        self.fields = min(self.fields + other.fields, ENDLESS)
        self.selects = min(self.selects + other.selects, ENDLESS)
        self.aliases = min(self.aliases + other.aliases, ENDLESS)
        self.directives = min(self.directives + other.directives, ENDLESS)
        self.changes = min(self.changes + other.changes, ENDLESS)
        self.cost = min(self.cost + other.cost, ENDLESS)
        self.depth = max(self.depth, other.depth)
        self.lists = max(self.lists, other.lists)
        self.nesting = max(self.nesting, other.nesting)
        self.scan(other.scans)

    def scan(self, scans: Mapping[str, float], times: int = 1) -> None:
        """Add reads of tables, repeated `times` times."""
        for table, weight in scans.items():
            self.scans[table] = min(self.scans.get(table, 0) + times * weight, ENDLESS)

    def validate(self, other: "Size") -> None:
        """Add a part that is not executed: only numbers that lengthen validation count."""
        self.fields = min(self.fields + other.fields, ENDLESS)
        self.aliases = min(self.aliases + other.aliases, ENDLESS)
        self.directives = min(self.directives + other.directives, ENDLESS)
        self.depth = max(self.depth, other.depth)


@dataclass
class Measure:
    """Measures one document. `numbers` are the variables that the measurement depends on."""

    schema: GraphQLSchema
    document: DocumentNode
    variables: Mapping[str, Any]
    numbers: set[str] = field(default_factory=set)
    measured: dict[str, Size] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fragments = fragments_of(self.document)

    def operation(self, node: OperationDefinitionNode) -> Size:
        self.defaults = {
            v.variable.name.value: v.default_value for v in node.variable_definitions or ()
        }
        return self.selection(self.schema.get_root_type(node.operation), node.selection_set)

    def whole(self, node: OperationDefinitionNode) -> Size:
        """Measure an operation and the rest of its document, which is validated too."""
        size = self.operation(node)
        for other in self.document.definitions:
            if isinstance(other, OperationDefinitionNode) and other is not node:
                size.validate(self.operation(other))
        for name in self.fragments.keys() - self.measured.keys():
            size.validate(self.fragment(name))
        return size

    def selection(self, type_: GraphQLNamedType | None, set_: SelectionSetNode) -> Size:
        size = Size()
        for node in set_.selections:
            size.directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                size.add(self.field(type_, node))
            elif isinstance(node, FragmentSpreadNode):
                size.add(self.fragment(node.name.value))
            elif isinstance(node, InlineFragmentNode):
                size.add(self.selection(self.condition(node) or type_, node.selection_set))
        return size

    def fragment(self, name: str) -> Size:
        """Measure a fragment once. Validation refuses a fragment that spreads itself."""
        if name not in self.measured:
            self.measured[name] = Size()
            node = self.fragments.get(name)
            if node is not None:
                self.measured[name] = self.selection(self.condition(node), node.selection_set)
        return self.measured[name]

    def condition(
        self, node: InlineFragmentNode | FragmentDefinitionNode
    ) -> GraphQLNamedType | None:
        named = node.type_condition
        return self.schema.type_map.get(named.name.value) if named else None

    def field(self, type_: GraphQLNamedType | None, node: FieldNode) -> Size:
        definition = self.definition(type_, node.name.value)
        alias, own = 1 if node.alias else 0, selects(type_, node.name.value, definition)
        if node.selection_set is None:
            return Size(fields=1, depth=1, aliases=alias, selects=own)
        inside = get_named_type(definition.type) if definition else None
        inner = self.selection(inside, node.selection_set)
        items = self.items(definition, node)
        size = Size(
            fields=inner.fields + 1,
            depth=inner.depth + 1,
            lists=inner.lists + (items is not None),
            nesting=inner.nesting + nested(type_, node.name.value, definition),
            selects=inner.selects + own,
            aliases=inner.aliases + alias,
            directives=inner.directives,
            changes=int(
                definition is not None and isinstance(source_of(definition), MutationField)
            ),
            cost=min(
                self.cost(definition, items, inner.cost) + cost(type_, node.name.value), ENDLESS
            ),
        )
        size.scan(inner.scans, items or 1)
        if found := scan(type_, node.name.value):
            size.scan({found.table: found.weight(self.given_arguments(node))})
        return size

    def cost(self, definition: GraphQLField | None, items: int | None, inner: int) -> int:
        """Return the number of objects: an item with its contents, times the number of items."""
        if definition is not None and isinstance(source_of(definition), ConnectionItems):
            return inner  # counted by the connection
        return (items or 1) * (1 + inner)

    def definition(self, type_: GraphQLNamedType | None, name: str) -> GraphQLField | None:
        if name in INTROSPECTION:
            return INTROSPECTION[name]
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            found: GraphQLField | None = type_.fields.get(name)
            return found
        return None

    def items(self, definition: GraphQLField | None, node: FieldNode) -> int | None:
        """Return the maximum number of objects if the field is a list, otherwise None."""
        source = source_of(definition) if definition else None
        if isinstance(source, ConnectionField):
            return min(self.page_size(node), source.most)  # a larger page is refused later
        if isinstance(source, ConnectionItems) or definition is None:
            return None  # counted by the connection
        if isinstance(source, NodesByIds):
            return min(self.length_of(node), nodes.MOST)
        if isinstance(source, ToMany):
            return source.most or UNPAGED
        nullable = get_nullable_type(definition.type)
        is_list = is_list_type(nullable) and is_composite_type(get_named_type(nullable))
        return UNPAGED if is_list else None

    # -- arguments ---------------------------------------------------------------------------------

    def page_size(self, node: FieldNode) -> int:
        sizes = [
            self.number(argument.value)
            for argument in node.arguments or ()
            if argument.name.value in ("first", "last")
        ]
        return max([size for size in sizes if size is not None], default=DEFAULT_SIZE)

    def length_of(self, node: FieldNode) -> int:
        """Return the number of ids passed to a field."""
        lengths = [self.number(argument.value) for argument in node.arguments or ()]
        return max([length for length in lengths if length is not None], default=1)

    def given_arguments(self, node: FieldNode) -> set[str]:
        """Return the names of the arguments that are present and not null."""
        return {
            argument.name.value
            for argument in node.arguments or ()
            if self.number(argument.value) is not None
        }

    def number(self, value: ValueNode | None) -> int | None:
        """Return the number that a value contributes: the integer itself, or the length of a list.

        Return None if the value is null or omitted. A value of the wrong type is refused later, at
        any cost.
        """
        if isinstance(value, VariableNode):
            name = value.name.value
            self.numbers.add(name)
            if name not in self.variables:
                return self.number(self.defaults.get(name))
            return self.number_of(name)
        if value is None or isinstance(value, NullValueNode):
            return None
        if isinstance(value, ListValueNode):
            return max(len(value.values), 1)
        text = value.value if isinstance(value, IntValueNode) else "1"
        return min(max(int(text), 1), ENDLESS) if len(text) < 15 else ENDLESS

    def number_of(self, name: str) -> int | None:
        """Return the same number for a variable, as the schema coerces it; 0 if it is omitted."""
        if name not in self.variables:
            return 0
        given = self.variables[name]
        if isinstance(given, list):
            return max(len(given), 1)
        return given if given is None else max(integer(given), 1)


def integer(given: Any) -> int:
    """Return the integer that GraphQL coerces a JSON value to; 1 for any other value."""
    try:
        return int(GraphQLInt.parse_value(given))
    except GraphQLError:
        return 1


class Limits:
    """Refuses operations that are too large, and caches the measurements."""

    def __init__(
        self, schema: GraphQLSchema, run_in_thread: RunInThread, size: int = REMEMBERED
    ) -> None:
        self.schema, self.run_in_thread = schema, run_in_thread
        self.numbers: FairCache[Key, frozenset[str]] = FairCache(size, length)
        self.refusals: FairCache[tuple[Key, Any], Errors] = FairCache(
            size, lambda key, _: length(key[0])
        )

    async def refuse(
        self,
        key: Key,
        document: DocumentNode,
        node: OperationDefinitionNode,
        variables: Any,
        viewer: Viewer,
    ) -> Errors:
        """Return the errors that refuse the operation with these variables.

        Only variables for page sizes matter. A new document is measured outside the event loop.
        """
        measure = Measure(self.schema, document, variables)
        try:
            numbers = await self.numbers.awaited(
                key,
                lambda: self.run_in_thread(viewer.caller, page_sizes, measure, node),
                viewer.owner,
            )
            values = tuple((name, measure.number_of(name)) for name in sorted(numbers))
            return await self.refusals.awaited(
                (key, values),
                lambda: self.run_in_thread(viewer.caller, limit_errors, measure, node),
                viewer.owner,
            )
        except RecursionError:
            return too_deep()


def length(key: Key, _: Any = None) -> int:
    """Return the weight of a document in the cache."""
    return 1_000 + len(key[0])


def too_long(query: str) -> Errors:
    """Refuse a text that is too long, before parsing."""
    if len(query) <= MAX_LENGTH:
        return []
    return [limited("length", len(query), MAX_LENGTH, "Split the document.")]


def limit_errors(measure: Measure, node: OperationDefinitionNode) -> Errors:
    return too_large(measure.whole(node))


def too_deep() -> Errors:
    return [limited("depth", ENDLESS, MAX_DEPTH, "Nest fewer fragments in fragments.")]


def page_sizes(measure: Measure, node: OperationDefinitionNode) -> frozenset[str]:
    """Return the names of the variables that set page sizes."""
    measure.operation(node)
    measure.measured.clear()
    return frozenset(measure.numbers)


def too_large(size: Size) -> Errors:
    """Return an error for each exceeded limit."""
    return [
        limited(name, getattr(size, name), most, advice)
        for name, (most, advice) in ADVICE.items()
        if getattr(size, name) > most
    ]
