"""Statements, and helpers shared by all frozen documents."""

from typing import Any

from models import Letterhead, Statement, StatementLine
from models.row import Row
from planner.sources import Rows
from resolvers.clients import of_visible_client
from resolvers.filters import DateRange, overlapping
from resolvers.visibility import Visibility


def rows(visible: Visibility, *where: Any) -> Rows:
    """Return visible statements, newest first."""
    table = visible(Statement)
    conditions = [condition(table) for condition in where]
    return Rows(table, conditions, (table.c.issued_on, table.c.serial), True, "statement")


def statements(client: Any, visible: Visibility, date_range: DateRange | None = None) -> Rows:
    return rows(
        visible,
        lambda table: of_visible_client(table, client, visible),
        lambda table: in_period(table, date_range),
    )


def statement_lines(statement: Any, visible: Visibility) -> Rows:
    return part_of(StatementLine, "statement_id", statement, visible)


def in_period(table: Any, date_range: DateRange | None) -> Any:
    return overlapping(table.c.period_start, table.c.period_end, date_range)


def part_of(model: type[Row], column: str, document: Any, visible: Visibility) -> Rows:
    """Return the rows that a document consists of, in printed order."""
    table = visible(model)
    return Rows(table, [table.c[column] == document.c.id], (table.c.position,))


def issuer(document: Any, visible: Visibility) -> Rows:
    """Return the issuer of a document."""
    table = visible(Letterhead)
    return Rows(table, [table.c.id == document.c.letterhead_id])
