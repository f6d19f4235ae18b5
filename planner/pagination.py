"""A page of a connection: keyset cursors in both directions, within the one statement.

The inner SELECT returns the page's rows, nearest to the cursor first, and one more row if the
client asks whether there are more. The outer SELECT combines them; `Page` provides its expressions.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    Integer,
    Select,
    Text,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    tuple_,
)

from planner.deferred import FieldError, bind, map_deferred
from planner.json_text import Concatenation, InnerColumns
from planner.sources import MAX_SIZE, PageFact, Rows
from planner.sql_text import hexadecimal, number_literal
from planner.tables import as_columns
from planner.tree import PageBounds, PageUse

DEFAULT_SIZE = 25
# Added to a row's number so that numbers sort as text: all have four digits.
RANK = 1000


class EdgeRow:
    """The row of an edge: its node's row and its cursor."""

    def __init__(self, row: Any, cursor: ColumnElement[str]) -> None:
        self.row, self.cursor = row, cursor


class Page:
    """The rows selected by `first` and `after`, or by `last` and `before`, with their page info."""

    def __init__(
        self,
        rows: Rows,
        place: Any,
        bounds: PageBounds,
        use: PageUse,
        *,
        most: int,
        count: Callable[[], ColumnElement[int]],
    ) -> None:
        self.rows, self.scope, self.bounds, self.use, self.count = rows, place, bounds, use, count
        # A list over the whole practice.
        self.is_wide = most > MAX_SIZE
        self.backward = bounds.is_backward
        if self.backward and bounds.first is not None:
            raise FieldError("BAD_PAGE", "first and last cannot be combined")
        asked = bounds.last if self.backward else bounds.first
        self.size = map_deferred(lambda asked: page_size(asked, most), asked)
        self.inner = InnerColumns()

    # -- the inner SELECT --------------------------------------------------------------------------

    @property
    def cursor(self) -> ColumnElement[str]:
        """Return a row's position in the order, as hexadecimal text."""
        return hexadecimal(self.place_in_order)

    @cached_property
    def place_in_order(self) -> Concatenation:
        """Return the order's name and a row's keys."""
        pieces: list[Any] = [self.rows.name]
        for key in self.keys:
            pieces += ["~", cast(key, Text)]
        return Concatenation(pieces)

    @property
    def keys(self) -> Sequence[ColumnElement[Any]]:
        """Return the parts of a cursor: the order's keys, or the id that determines them."""
        order = as_columns(self.rows.order)
        return order if self.rows.keys_by_id is None else order[-1:]

    @property
    def node(self) -> Any:
        return self.rows.row or self.rows.table

    @property
    def edge(self) -> EdgeRow:
        return EdgeRow(self.node, self.cursor)

    def columns(self) -> list[ColumnElement[Any]]:
        written = self.inner.written
        if not self.use.is_ranked:
            return written or [number_literal(1).label("c")]
        rank = func.row_number().over(order_by=self.ordering()) + number_literal(RANK)
        return [*written, rank.label("rank")]

    def ordering(self) -> list[ColumnElement[Any]]:
        down = self.rows.descending is not self.backward
        return [key.desc() if down else key.asc() for key in as_columns(self.rows.order)]

    def cut(self, statement: Select[Any]) -> Select[Any]:
        """Limit a SELECT of all rows to the page's rows, in the order of the response."""
        return self.turned(self.nearest(statement))

    def nearest(self, statement: Select[Any]) -> Select[Any]:
        """Limit a SELECT of all rows to the page's rows, nearest to the cursor first."""
        for cursor, beyond in ((self.bounds.after, True), (self.bounds.before, False)):
            if cursor is not None:
                statement = statement.where(self.side(cursor, after=beyond))
        limit = map_deferred(lambda size: size + self.use.peeks, self.size)
        return statement.order_by(*self.ordering()).limit(bind(limit, BigInteger()))

    def turned(self, nearest: Select[Any]) -> Select[Any]:
        """Sort rows that are nearest to the cursor first in the order of the response."""
        if not self.backward:
            return nearest
        inner = nearest.subquery()
        return select(*inner.c).order_by(inner.c.rank.desc())

    def side(self, cursor: Any, *, after: bool) -> ColumnElement[bool]:
        """Return the condition for rows on one side of the cursor."""
        types = [key.type for key in self.keys]
        keys = map_deferred(lambda text: decode_cursor(text, self.rows.name, types), cursor)
        at: Sequence[ColumnElement[Any]] = [
            bind(map_deferred(lambda keys, i=i: keys[i], keys), type_)
            for i, type_ in enumerate(types)
        ]
        if self.rows.keys_by_id is not None:
            at = as_columns(self.rows.keys_by_id(at[0]))
        here = tuple_(*self.rows.order)
        return here > tuple_(*at) if after is not self.rows.descending else here < tuple_(*at)

    # -- the outer SELECT --------------------------------------------------------------------------

    def value(self, fact: PageFact) -> ColumnElement[Any]:
        """Return the expression of a fact. A cursor adds a column to the inner SELECT."""
        match fact:
            case PageFact.HAS_NEXT:
                return self.has_next
            case PageFact.HAS_PREVIOUS:
                return self.has_previous
            case PageFact.START_CURSOR:
                return self.extreme(func.max if self.backward else func.min)
            case PageFact.END_CURSOR:
                return self.extreme(func.min if self.backward else func.max)
            case PageFact.TOTAL:
                return self.count()

    @cached_property
    def last_rank(self) -> ColumnElement[Any]:
        return bind(map_deferred(lambda size: size + RANK, self.size), BigInteger())

    def shown(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the value, except for the extra row that only reveals whether more rows exist."""
        return case((column("rank", Integer) <= self.last_rank, value)) if self.use.peeks else value

    @property
    def more(self) -> ColumnElement[bool]:
        return func.count() > bind(self.size, BigInteger())

    @property
    def has_next(self) -> ColumnElement[bool]:
        return has_cursor(self.bounds.before) if self.backward else self.more

    @property
    def has_previous(self) -> ColumnElement[bool]:
        return self.more if self.backward else has_cursor(self.bounds.after)

    def extreme(self, aggregate: Any) -> ColumnElement[str]:
        """Return the cursor of the first or last row. Ranks sort as text: all have one length."""
        cursor = self.inner.write(self.place_in_order)
        ranked = Concatenation([cast(column("rank", Integer), Text), cursor])
        place = func.substr(aggregate(self.shown(ranked)), number_literal(5))
        # SQLite's hexadecimal form of NULL is an empty text.
        return case((func.count() > number_literal(0), hexadecimal(place)))


def has_cursor(cursor: Any) -> ColumnElement[bool]:
    """Return whether a cursor is given. Its own row is then on the other side of the page."""
    return literal_column("1 = 1" if cursor is not None else "1 = 0", Boolean)


def page_size(asked: int | None, most: int) -> int:
    size = DEFAULT_SIZE if asked is None else asked
    if not 1 <= size <= most:
        raise FieldError("BAD_PAGE", f"a page of this list has 1 to {most} items, not {size}")
    return size


HEXADECIMAL = re.compile("([0-9a-f]{2})+", re.ASCII)
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
INTEGER = re.compile("0|-?[1-9][0-9]{0,17}", re.ASCII)


def decode_cursor(cursor: str, name: str, types: Sequence[Any]) -> list[Any]:
    """Return the keys in a cursor of this order."""
    try:
        if not HEXADECIMAL.fullmatch(cursor):
            raise ValueError(cursor)
        order, *keys = bytes.fromhex(cursor).decode("ascii").split("~")
        if order != name:
            raise ValueError(order)
        return [parse_key(text, type_) for text, type_ in zip(keys, types, strict=True)]
    except ValueError:
        raise FieldError("BAD_CURSOR", "not a cursor of this list in this order") from None


def parse_key(text: str, type_: Any) -> Any:
    """Return the value of a cursor's key. Refuse any form that the database does not write."""
    if isinstance(type_, Date):
        if dt.date.fromisoformat(text).isoformat() != text:
            raise ValueError(text)
        return dt.date.fromisoformat(text)
    if isinstance(type_, Integer):
        if not INTEGER.fullmatch(text):
            raise ValueError(text)
        return int(text)
    if not UUID.fullmatch(text):
        raise ValueError(text)
    return text
