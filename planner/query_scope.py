"""The planner's position in the query, and the SELECTs of rows at a position."""

from dataclasses import dataclass, replace
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
from planner.policy import RowPolicy
from planner.sources import LateralSubquery, Rows


@dataclass(frozen=True)
class QueryScope:
    """The row that fields are read from, and the SELECTs around it.

    `subqueries` are those of each SELECT, of the innermost one last. The emitter adds to its own
    SELECT: the subqueries of embedded rows, and on PostgreSQL those of to-one objects.
    """

    row: Any
    tables: tuple[FromClause, ...]
    subqueries: tuple[list[LateralSubquery], ...]

    def with_row(self, row: Any) -> "QueryScope":
        """Return the same SELECT with another row object."""
        return replace(self, row=row)

    def child(self, rows: Rows) -> "QueryScope":
        """Return a SELECT of these rows nested in this one."""
        row = rows.table if rows.row is None else rows.row
        return QueryScope(
            row, (*self.tables, rows.table), (*self.subqueries, list(rows.subqueries))
        )

    @property
    def joins(self) -> list[tuple[FromClause, ColumnElement[bool]]]:
        """Return the joins of this SELECT: its subqueries that a column or a condition reads."""
        read = ((one.joined, one.on) for one in self.subqueries[-1])
        return [(joined, on(joined) if on else true()) for joined, on in read if joined is not None]

    @property
    def outer(self) -> list[FromClause]:
        """Return the tables that a subquery at this position may refer to."""
        around = (one.joined for subqueries in self.subqueries for one in subqueries)
        return [*self.tables, *(joined for joined in around if joined is not None)]


def select_rows(
    policy: RowPolicy,
    rows: Rows,
    child: QueryScope,
    scope: QueryScope,
    *columns: ColumnElement[Any],
) -> Select[Any]:
    """Select the visible rows, with the joins of their computed columns and to-one objects."""
    where = [policy.predicate_for(rows.table), *rows.where]
    origin = with_joins(rows.table, child)
    return select(*columns).select_from(origin).where(*where).correlate(*scope.outer)


def with_joins(table: FromClause, child: QueryScope) -> FromClause:
    for joined, on in child.joins:
        table = table.outerjoin(joined, on)
    return table


# -- pages -----------------------------------------------------------------------------------------


def select_page(
    policy: RowPolicy, page: Page, scope: QueryScope, *, filters_beside: bool
) -> Select[Any]:
    """Select the page's rows. If a filter reads a computed column, all rows need the joins."""
    if filters_beside or not page.scope.joins:
        return page.cut(select_rows(policy, page.rows, page.scope, scope, *page.columns()))
    return select_page_before_joins(policy, page, scope)


def select_page_before_joins(policy: RowPolicy, page: Page, scope: QueryScope) -> Select[Any]:
    """Select the page's rows before any join.

    Otherwise PostgreSQL would compute the joined columns for every row that it has to sort.
    """
    rows = page.rows
    columns = select(*page.columns()).select_from(with_joins(rows.table, page.scope))
    columns = columns.order_by(*page.ordering())
    needed = select(*used_columns(columns, rows.table)).select_from(rows.table)
    seen = needed.where(policy.predicate_for(rows.table), *rows.where).correlate(*scope.outer)
    cut = page.nearest(seen).subquery()
    return page.turned(replace_table(columns, rows.table, cut).correlate(*scope.outer))


def used_columns(statement: Select[Any], table: FromClause) -> list[ColumnElement[Any]]:
    """Return the columns of the table that a SELECT reads anywhere."""
    read = {
        element.key
        for element in visitors.iterate(statement)
        if isinstance(element, ColumnClause) and element.table is table
    }
    return [column for column in table.c if column.key in read]


def replace_table(statement: Select[Any], table: FromClause, other: FromClause) -> Select[Any]:
    """Return the SELECT with the table replaced by another table with the same columns."""

    def swap(element: Any, **_: Any) -> Any:
        if element is table:
            return other
        if isinstance(element, ColumnClause) and element.table is table:
            return other.c[element.key]
        # A copied parameter would be a new parameter, and a copied table would have no predicate.
        own = isinstance(element, BindParameter) or is_of_alias(element)
        return element if own else None

    return cast(Select[Any], visitors.replacement_traverse(statement, {}, swap))


def is_of_alias(element: Any) -> bool:
    table = element.table if isinstance(element, ColumnClause) else element
    return isinstance(table, Alias)
