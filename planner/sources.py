"""Sources of fields: metadata on Strawberry fields (`KEY`) that the planner reads.

A *row* is the object that fields of a type are read from: the alias of a table, or a Python object
with the table's columns as `c`. Each source is generic over the class of this row, so that mypy
finds a wrong column: `Value[RowOf[Invoice]](lambda invoice: invoice.c.due_on)`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Concatenate, Generic, TypeVar

from graphql import GraphQLField
from sqlalchemy import ColumnElement, FromClause, Select, SQLColumnExpression

from planner.json_text import NotNull

KEY = "source"
MAX_SIZE = 100

# The class of the row that a field is read from.
R = TypeVar("R", contravariant=True)


class LateralSubquery:
    """Values computed for each row of a table by a subquery, mostly sums.

    PostgreSQL joins the subquery once (LATERAL) if any field reads it. SQLite has no such join, so
    the subquery is repeated at each use. `find` builds the subquery at its first use. `always` says
    that the subquery always has a row, without a NULL. If `on` is given, the subquery refers to no
    row and is evaluated once for all rows. Both databases join it on this condition.
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
    def statement(self) -> Select[*tuple[Any, ...]]:
        return self.find()

    def __getitem__(self, name: str) -> ColumnElement[Any]:
        return NotNull(self.column(name)) if self.always else self.column(name)

    def column(self, name: str) -> ColumnElement[Any]:
        if self.lateral or self.on is not None:
            if self.joined is None:
                self.joined = self.statement.subquery() if self.on else self.statement.lateral()
            return self.joined.c[name]
        if name not in self.columns:
            column = self.statement.selected_columns[name]
            only = self.statement.with_only_columns(column, maintain_column_froms=True)
            self.columns[name] = only.scalar_subquery()
        return self.columns[name]


@dataclass(frozen=True)
class Rows:
    """A selection of rows from a table or subquery, with their order.

    `order` is unique over the rows and has a single direction, so that it can serve as a keyset.
    `name` distinguishes the cursors of different orders. If `keys_by_id` is given, a cursor has
    only the row's id, and `keys_by_id` computes the order's keys from it: for sort keys that must
    not appear in a cursor. `row` is the object that fields are read from; the default is the table.
    """

    table: FromClause
    where: Sequence[SQLColumnExpression[bool]] = ()
    order: Sequence[SQLColumnExpression[Any]] = ()
    descending: bool = False
    name: str = ""
    row: Any = None
    subqueries: Sequence[LateralSubquery] = ()
    keys_by_id: Callable[[ColumnElement[Any]], Sequence[SQLColumnExpression[Any]]] | None = None


# A function that finds rows, given the row of the field, the visibility and the arguments.
RowsOf = Callable[Concatenate[R, Any, ...], Rows]


@dataclass(frozen=True)
class Value(Generic[R]):
    """A leaf with an SQL expression over the row. `column` is its name if it is one column."""

    of: Callable[[R], SQLColumnExpression[Any]]
    column: str | None = None


@dataclass(frozen=True)
class ViewerField(Generic[R]):
    """A leaf with an SQL expression over the row and the viewer's visibility."""

    of: Callable[[R, Any], SQLColumnExpression[Any]]


class PageFact(Enum):
    """A scalar that describes a page of a connection."""

    HAS_NEXT = "whether there are rows after the page"
    HAS_PREVIOUS = "whether there are rows before the page"
    START_CURSOR = "the first row's cursor"
    END_CURSOR = "the last row's cursor"
    TOTAL = "the number of rows of the whole list"


@dataclass(frozen=True)
class PageValue:
    """A leaf that describes the page of a connection."""

    fact: PageFact


@dataclass(frozen=True)
class Embedded(Generic[R]):
    """An object read from the same row, such as Money. `of` takes the row and the arguments, which
    are optional, and returns the row of the object's fields.

    With `when`, the object is null in rows that do not meet the condition. `subqueries` are those
    of the returned row, in addition to the subqueries of its SELECT.
    """

    of: Callable[[R], Any]
    when: Callable[[R], ColumnElement[bool]] | None = None
    subqueries: Callable[[Any], Sequence[LateralSubquery]] = lambda _: ()


@dataclass(frozen=True)
class EmbeddedList(Generic[R]):
    """A list of objects read from the same row. Its length is the same for every row."""

    of: Callable[[R], Sequence[Any]]


@dataclass(frozen=True)
class ToOne(Generic[R]):
    """An object of another row, or null. `rows` takes the row, the visibility and the arguments."""

    rows: RowsOf[R]


@dataclass(frozen=True)
class ToMany(Generic[R]):
    """A list of all rows. `most` is the maximum number, if known."""

    rows: RowsOf[R]
    most: int | None = None


@dataclass(frozen=True)
class ConnectionField(Generic[R]):
    """A connection over the rows, with at most `most` rows per page.

    With `tells_start`, `rows` also gets the argument `from_start`: whether the page begins with the
    first row.
    """

    rows: RowsOf[R]
    most: int = MAX_SIZE
    tells_start: bool = False


@dataclass(frozen=True)
class ConnectionItems(Generic[R]):
    """A list with an object for each row of the page. `of` returns its row from the page."""

    of: Callable[[R], Any]


@dataclass(frozen=True)
class NodeById:
    """An object of an interface. `pick` takes an id and returns its type's name and rows."""

    pick: Callable[..., tuple[str, Callable[..., Rows]]]


@dataclass(frozen=True)
class NodeKind:
    """A possible type of an interface's object, and its rows by id."""

    name: str
    rows: Callable[[Any, Any], Rows]


@dataclass(frozen=True)
class NodesByIds:
    """A list of objects of an interface, with null for each missing object.

    `rows` returns the rows in order. The `kind` and `id` of each row determine the object.
    """

    rows: Callable[..., Rows]
    kinds: Mapping[str, NodeKind]


@dataclass(frozen=True)
class MutationField:
    """The result of a mutation field.

    `act` makes the change, given the context of the mutation and the arguments. The result is then
    read like any other object, after all changes are committed.
    """

    act: Callable[..., Awaitable[Any]]


Source = (
    Value[Any]
    | ViewerField[Any]
    | PageValue
    | Embedded[Any]
    | EmbeddedList[Any]
    | ToOne[Any]
    | ToMany[Any]
    | ConnectionField[Any]
    | ConnectionItems[Any]
    | NodeById
    | NodesByIds
    | MutationField
)


def source_of(definition: GraphQLField) -> Source | None:
    """Return the source of a field in the finished schema, or None."""
    strawberry_field = definition.extensions.get("strawberry-definition")
    return strawberry_field.metadata.get(KEY) if strawberry_field else None
