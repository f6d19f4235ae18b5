"""The planner's position in the query, and the SELECTs of rows at a position."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from sqlalchemy import (
    Alias,
    BindParameter,
    ColumnClause,
    ColumnElement,
    FromClause,
    Select,
    select,
    true,
)
from sqlalchemy.sql import visitors

from planner.pagination import Page
from planner.sources import Beside, Rows
from resolvers.visibility import Sight


@dataclass(frozen=True)
class Place:
    """The row that fields are read from, and the surrounding SELECT."""

    row: Any
    tables: tuple[FromClause, ...] = ()
    besides: tuple[Beside, ...] = ()
    # To-one objects that PostgreSQL joins to this row.
    joins: list[FromClause] = field(default_factory=list)

    def at(self, row: Any) -> "Place":
        """Return the same SELECT with another row object."""
        return replace(self, row=row)

    def inside(self, rows: Rows) -> "Place":
        """Return a SELECT of these rows nested in this one."""
        row = rows.table if rows.row is None else rows.row
        return Place(row, (*self.tables, rows.table), (*self.besides, *rows.beside))

    @property
    def outer(self) -> list[FromClause]:
        """Return the tables that a subquery at this position may refer to."""
        return [*self.tables, *(b.joined for b in self.besides if b.joined is not None)]


def found(
    sight: Sight, rows: Rows, inside: Place, place: Place, *columns: ColumnElement[Any]
) -> Select[Any]:
    """Select the visible rows, with the joins of their computed columns and to-one objects."""
    where = [sight.only(rows.table), *rows.where]
    origin = with_joins(rows, inside)
    return select(*columns).select_from(origin).where(*where).correlate(*place.outer)


def with_joins(rows: Rows, inside: Place) -> FromClause:
    origin = rows.table
    for joined, on in joins(rows, inside):
        origin = origin.outerjoin(joined, on)
    return origin


def joins(rows: Rows, inside: Place) -> list[tuple[FromClause, ColumnElement[bool]]]:
    """Return the joins of the rows' computed columns and to-one objects."""
    besides = [
        (b.joined, b.on(b.joined) if b.on else true()) for b in rows.beside if b.joined is not None
    ]
    return [*besides, *((joined, true()) for joined in inside.joins)]


# -- pages -----------------------------------------------------------------------------------------


def found_page(sight: Sight, page: Page, place: Place, *, filters_beside: bool) -> Select[Any]:
    """Select the page's rows. If a filter reads a computed column, all rows need the joins."""
    if filters_beside or not joins(page.rows, page.place):
        return page.cut(found(sight, page.rows, page.place, place, *page.columns()))
    return cut_first(sight, page, place)


def cut_first(sight: Sight, page: Page, place: Place) -> Select[Any]:
    """Select the page's rows before any join.

    Otherwise PostgreSQL would compute the joined columns for every row that it has to sort.
    """
    rows = page.rows
    columns = select(*page.columns()).select_from(with_joins(rows, page.place))
    columns = columns.order_by(*page.ordering())
    needed = select(*used(columns, rows.table)).select_from(rows.table)
    seen = needed.where(sight.only(rows.table), *rows.where).correlate(*place.outer)
    cut = page.nearest(seen).subquery()
    return page.turned(over(columns, rows.table, cut).correlate(*place.outer))


def used(found: Select[Any], table: FromClause) -> list[ColumnElement[Any]]:
    """Return the columns of the table that a SELECT reads anywhere."""
    read = {
        element.key
        for element in visitors.iterate(found)
        if isinstance(element, ColumnClause) and element.table is table
    }
    return [column for column in table.c if column.key in read]


def over(found: Select[Any], table: FromClause, other: FromClause) -> Select[Any]:
    """Return the SELECT with the table replaced by another table with the same columns."""

    def swap(element: Any, **_: Any) -> Any:
        if element is table:
            return other
        if isinstance(element, ColumnClause) and element.table is table:
            return other.c[element.key]
        # A copied parameter would be a new parameter, and a copied table would have no predicate.
        own = isinstance(element, BindParameter) or is_of_alias(element)
        return element if own else None

    return cast(Select[Any], visitors.replacement_traverse(found, {}, swap))


def is_of_alias(element: Any) -> bool:
    table = element.table if isinstance(element, ColumnClause) else element
    return isinstance(table, Alias)
