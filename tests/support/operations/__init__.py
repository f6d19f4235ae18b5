"""Random operations over the schema: whole queries that a client could send.

Most are answered without an error: cursors fit their lists, ranges have two ends, fragments nest.
Depth and number of fields stay within the server's limits.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_interface_type,
)
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from tests.oracle.scopes import of_field
from tests.support.comparison import Case, is_within_limits
from tests.support.operations.arguments import Arguments
from tests.support.operations.pools import Pool

LISTS = 4
# Most operations have the size of a page's; some are large.
FIELDS = (16, 24, 32, 40, 56, 100)

# SQLite's parser keeps at most a hundred constructs open (until 3.46). These are the number left to
# a query's fields, and the numbers that a field takes with its selection, as measured.
OPEN = 68
ONE, LIST, PART, MONEY, LEAF = 10, 13, 0, 12, 6
TAKES = {
    "accountHistory": 28, "address": 12, "balance": 32, "canPay": 24, "canAddCard": 12,
    "payable": 38, "creditApplied": 38, "writtenOff": 24, "adjusted": 24, "ledger": 28,
    "amountDue": 26, "amountPaid": 24, "totalFee": 22, "totalPaid": 22,
    "status": 20, "isPastDue": 17, "pageInfo": 12, "invoices": 26, "edges": 0, "nodes": 0,
    "node": 0, "terms": 0, "revenue": 30, "aging": 20,
}  # fmt: skip


# Weights of the fields through which most of the schema is reached.
LIKELY = {
    "client": 12, "viewer": 2, "clients": 6, "invoices": 8, "accountHistory": 8, "statements": 3,
    "superbills": 2, "payments": 2, "paymentMethods": 3, "balance": 5, "nodes": 3, "edges": 3,
    "node": 4, "payable": 3, "isDisputed": 3, "status": 3, "isPastDue": 3, "lines": 2, "terms": 5,
    "uninvoiced": 3, "practice": 3, "revenue": 9, "aging": 6, "outstandingAtEnd": 2, "collected": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Room:
    """The remaining depth of a selection: in lists within lists, and for SQLite's parser."""

    lists: int = LISTS
    open: int = OPEN

    def within(self, name: str, type_: Any) -> "Room":
        is_list = isinstance(get_nullable_type(type_), GraphQLList) and name != "terms"
        is_connection = get_named_type(type_).name.endswith("Connection")
        # A filter's expression does not enclose the objects of the list.
        takes = LIST if name == "invoices" else taken(name, type_)
        return Room(self.lists - is_list - is_connection + (name in ITEMS), self.open - takes)


# Lists within a connection, which has counted as one.
ITEMS = frozenset({"nodes", "edges"})


def taken(name: str, type_: Any) -> int:
    """Return the number of constructs that a field opens."""
    named = get_named_type(type_)
    if name in TAKES:
        return TAKES[name]
    if named.name in ("Money", "BalanceTerm"):
        return MONEY
    if not is_composite_type(named):
        return LEAF
    is_list = isinstance(get_nullable_type(type_), GraphQLList)
    return LIST if is_list or named.name.endswith("Connection") else ONE


@dataclass(frozen=True)
class Fragment:
    """A named fragment, which may be spread again if it fits."""

    name: str
    type_: Any
    room: Room
    fields: int


@cache
def clashing(schema: GraphQLSchema) -> frozenset[str]:
    """Return the fields whose type differs between two types behind a Node.

    Without an alias of its own such a field would make the document invalid.
    """
    types: defaultdict[str, set[str]] = defaultdict(set)
    node = schema.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    for type_ in schema.get_possible_types(node):
        for name, field in type_.fields.items():
            types[name].add(str(field.type))
    return frozenset(name for name, found in types.items() if len(found) > 1)


class Writer(Arguments):
    """Writer of one operation."""

    def __init__(self, draw: Callable[[Any], Any], schema: GraphQLSchema, pool: Pool) -> None:
        super().__init__(draw, pool)
        self.schema, self.left = schema, self.one(FIELDS)
        self.clashing = clashing(schema)
        self.fragments: list[Fragment] = []
        self.definitions: list[str] = []

    def case(self) -> Case:
        body = self.selection(self.schema.query_type, Room())
        head = f"({', '.join(self.declared)})" if self.declared else ""
        query = "\n".join([f"query Q{head} {body}", *self.definitions])
        return Case(self.pool.who, query, self.variables, has_junk=self.has_junk)

    def selection(self, type_: Any, room: Room) -> str:
        pieces = [self.piece(type_, room) for _ in range(self.one([1, 2, 2, 3, 4, 5]))]
        return "{ " + " ".join(pieces) + " }"

    def piece(self, type_: Any, room: Room) -> str:
        # An interface has few fields of its own.
        if self.left > 0 and self.chance(85 if is_interface_type(type_) else 25):
            fitting = [f for f in self.fragments if self.goes(f, type_, room)]
            if fitting and self.chance(45):
                return self.spread(self.one(fitting))
            return self.fragment(type_, room)
        names = self.askable(type_, room)
        if not names or self.chance(6):
            return f"{self.name('t')}: __typename{self.directive()}"
        return self.field(type_, self.one(names), room)

    def askable(self, type_: Any, room: Room) -> list[str]:
        """Return the names of the fields that fit, repeated by their weight."""
        names = [name for name, field in type_.fields.items() if self.fits(name, field.type, room)]
        allowed = [name for name in names if self.may_read(type_.name, name)]
        # Few operations exceed the scopes.
        names = allowed if len(allowed) == len(names) or not self.chance(1) else names
        return [name for name in names for _ in range(LIKELY.get(name, 1))]

    def fits(self, name: str, type_: Any, room: Room) -> bool:
        if not is_composite_type(get_named_type(type_)):
            return taken(name, type_) <= room.open
        inside = room.within(name, type_)
        least = LEAF if name not in ITEMS else 2 * LEAF
        enough = taken(name, type_) <= room.open and inside.open >= least
        return enough and inside.lists >= 0 and self.left > 0

    def may_read(self, type_: str, name: str) -> bool:
        return of_field(type_, name) <= self.pool.scopes

    def field(self, type_: Any, name: str, room: Room) -> str:
        definition = type_.fields[name]
        self.left -= 1
        # Two fields of a name with other arguments in one object would make the document invalid.
        clashes = definition.args or name in self.clashing
        alias = f"{self.name('a')}: " if clashes or self.chance(30) else ""
        named = get_named_type(definition.type)
        head = f"{alias}{name}"
        if definition.args:
            nested, most = room.lists < LISTS, 500 if type_.name == "Practice" else 100
            head += self.of(name, definition.args, nested=nested, most=most)
        if not is_composite_type(named):
            return head + self.directive()
        times = 2 if self.chance(12) else 1
        return " ".join(
            f"{head}{self.directive()} {self.selection(named, room.within(name, definition.type))}"
            for _ in range(times)
        )

    # -- fragments ---------------------------------------------------------------------------------

    def fragment(self, type_: Any, room: Room) -> str:
        inside = type_
        if is_interface_type(type_):
            types = self.schema.get_possible_types(type_)
            inside = self.one([type_, *(one for one in types if self.may_read(one.name, "id"))])
        elif type_.interfaces and self.chance(20):
            inside = type_.interfaces[0]
        if self.chance(50):
            return self.spread(self.defined(inside, room))
        condition = "" if inside is type_ and self.chance(40) else f" on {inside.name}"
        return f"...{condition}{self.directive()} {self.selection(inside, room)}"

    def defined(self, type_: Any, room: Room) -> Fragment:
        before = self.left
        body, name = self.selection(type_, room), self.name("F")
        self.definitions.append(f"fragment {name} on {type_.name} {body}")
        fragment = Fragment(name, type_, room, before - self.left)
        self.fragments.append(fragment)
        # The first spread counts its fields.
        self.left = before
        return fragment

    def goes(self, fragment: Fragment, type_: Any, room: Room) -> bool:
        """Return whether the fragment may be spread here too."""
        fits = room.open >= fragment.room.open and room.lists >= fragment.room.lists
        return fragment.type_ is type_ and fits and fragment.fields <= self.left

    def spread(self, fragment: Fragment) -> str:
        self.left -= fragment.fields
        return f"...{fragment.name}{self.directive()}"

    def directive(self) -> str:
        if not self.chance(10):
            return ""
        flag = self.one([True, False])
        value, name = str(flag).lower(), self.name("b")
        if self.chance(60):
            declared = f"${name}: Boolean!" if self.chance(50) else f"${name}: Boolean = {value}"
            self.declared.append(declared)
            if declared.endswith("!"):
                self.variables[name] = flag
            value = f"${name}"
        return f" @{self.one(['skip', 'include'])}(if: {value})"


def operations(schema: GraphQLSchema, pools: Sequence[Pool]) -> st.SearchStrategy[Case]:
    # As arguments of the inner function, Hypothesis would print the pools: six megabytes.
    @st.composite
    def operation(draw: Callable[[Any], Any]) -> Case:
        case = Writer(draw, schema, pools[draw(st.integers(0, len(pools) - 1))]).case()
        assume(is_within_limits(case))
        return case

    return operation()


def drawn(count: int, schema: GraphQLSchema, pools: Sequence[Pool], seed_: int = 0) -> list[Case]:
    """Return this many operations, the same for each seed."""
    cases: list[Case] = []

    @seed(seed_)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operations(schema, pools))
    def draw(case: Case) -> None:
        cases.append(case)

    draw()
    return cases
