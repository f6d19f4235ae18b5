"""Where a field comes from: what a Strawberry field carries as metadata and the planner reads.

A *row* is what an object's fields are read from: a table's alias, or any Python object made of one
that has its columns as `c`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import strawberry
from graphql import GraphQLField
from sqlalchemy import ColumnElement, FromClause, Select

from resolvers.planner.jsontext import certain

KEY = "source"
MAX_SIZE = 100


class Beside:
    """What a subquery of one row works out beside each row of a table, by name: sums, mostly.

    PostgreSQL joins it once (LATERAL), if anything reads it; SQLite, which has no such join, gets
    it written wherever it is read. `find` makes the subquery when it is first read; `always`: it
    has a row, and nothing in it is NULL. With `on`, which says what of it is which row's, it refers
    to no row itself and is worked out once for all of them: both databases join it.
    """

    def __init__(
        self,
        find: Callable[[], Select[*tuple[Any, ...]]],
        *,
        lateral: bool,
        always: bool,
        on: Callable[[FromClause], ColumnElement[bool]] | None = None,
    ) -> None:
        self.find, self.lateral, self.always, self.on = find, lateral, always, on
        self.joined: FromClause | None = None
        self.columns: dict[str, ColumnElement[Any]] = {}

    @cached_property
    def found(self) -> Select[*tuple[Any, ...]]:
        return self.find()

    def __getitem__(self, name: str) -> ColumnElement[Any]:
        return certain(self.column(name)) if self.always else self.column(name)

    def column(self, name: str) -> ColumnElement[Any]:
        if self.lateral or self.on is not None:
            if self.joined is None:
                self.joined = self.found.subquery() if self.on else self.found.lateral()
            return self.joined.c[name]
        if name not in self.columns:
            column = self.found.selected_columns[name]
            only = self.found.with_only_columns(column, maintain_column_froms=True)
            self.columns[name] = only.scalar_subquery()
        return self.columns[name]


@dataclass(frozen=True)
class Rows:
    """Rows of a table or a subquery: which of them, and in which order.

    `order` is unique over the rows and all one way, so that it can be a keyset; `name` tells the
    cursors of one order from another's. Where `place` is given a cursor has only the row's id, and
    `place` makes the order's keys of it: for orders by what must not be in a cursor. `row` is what
    fields are read from, if not the table.
    """

    table: FromClause
    where: Sequence[ColumnElement[bool]] = ()
    order: Sequence[ColumnElement[Any]] = ()
    descending: bool = False
    name: str = ""
    row: Any = None
    beside: Sequence[Beside] = ()
    place: Callable[[ColumnElement[Any]], Sequence[ColumnElement[Any]]] | None = None


@dataclass(frozen=True)
class Value:
    """A leaf: an SQL expression over the row."""

    of: Callable[[Any], ColumnElement[Any]]


@dataclass(frozen=True)
class Viewed:
    """A leaf that depends on the viewer too: an expression over the row and the sight."""

    of: Callable[[Any, Any], ColumnElement[Any]]


@dataclass(frozen=True)
class Part:
    """An object made of the row itself (Money, PageInfo): `of` gives the row of its fields.

    With `when`, null in rows for which it isn't true.
    """

    of: Callable[[Any], Any]
    when: Callable[[Any], ColumnElement[bool]] | None = None


@dataclass(frozen=True)
class Parts:
    """A list of objects made of the row itself, as many for each row."""

    of: Callable[[Any], Sequence[Any]]


@dataclass(frozen=True)
class One:
    """An object of another row, or of none. Rows, given the row, the sight and the arguments."""

    rows: Callable[..., Rows]


@dataclass(frozen=True)
class Many:
    """A list of all rows; `most`: at the most so many, where that is known."""

    rows: Callable[..., Rows]
    most: int | None = None


@dataclass(frozen=True)
class Paged:
    """A connection over the rows, a page of `most` at the most at a time; with `tells_start` the
    rows are told, as `from_start`, whether a page begins with the first of them."""

    rows: Callable[..., Rows]
    most: int = MAX_SIZE
    tells_start: bool = False


@dataclass(frozen=True)
class Items:
    """A list with an object for each row of the page; `of` gives its row, from the page."""

    of: Callable[[Any], Any]


@dataclass(frozen=True)
class Typed:
    """An interface's object, of the type that an id's prefix tells: its name and its rows."""

    pick: Callable[..., tuple[str, Callable[..., Rows]]]


@dataclass(frozen=True)
class Kind:
    """One of the types that an interface's object may be, and its rows by their id."""

    name: str
    rows: Callable[[Any, Any], Rows]


@dataclass(frozen=True)
class Chosen:
    """A list of an interface's objects, null where there is none, each of the kind that its row
    says: `rows` gives the rows in their order, `kind` and `id` are read from each."""

    rows: Callable[..., Rows]
    kinds: Mapping[str, Kind]


@dataclass(frozen=True)
class Mutated:
    """A mutation's result. `act` changes what it has to, given who acts and the arguments; what
    it comes to is then read like any other object, after all is committed.

    `by_nobody`: it can be asked without a token. `alone`: it is read with other eyes than those of
    who asked, so nothing else is changed in the same operation. `moves_money`: an operation has one
    such field at the most."""

    act: Callable[..., Awaitable[Any]]
    by_nobody: bool = False
    alone: bool = False
    moves_money: bool = False


Source = Value | Viewed | Part | Parts | One | Many | Paged | Items | Typed | Chosen | Mutated


def field(source: Source, *, description: str | None = None) -> Any:
    """A Strawberry field that the planner answers from the source."""
    return strawberry.field(metadata={KEY: source}, description=description)


def column(name: str, description: str) -> Any:
    """A Strawberry field that is a column of the row."""
    return field(Value(lambda row: row.c[name]), description=description)


def planned(source: Source, *, description: str) -> Callable[[Callable[..., Any]], Any]:
    """A field with arguments: the function only declares them, the source answers."""

    def declared(function: Callable[..., Any]) -> Any:
        return strawberry.field(function, metadata={KEY: source}, description=description)

    return declared


def source_of(definition: GraphQLField) -> Source | None:
    """The source that a field of the finished schema carries."""
    strawberry_field = definition.extensions.get("strawberry-definition")
    return strawberry_field.metadata.get(KEY) if strawberry_field else None
