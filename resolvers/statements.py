"""Statements, and helpers shared by all frozen documents."""

from typing import Any

from models import Letterhead, Statement, StatementLine
from models.row import Row
from planner.sources import Rows
from resolvers.clients import owned
from resolvers.filters import DateRange, overlapping
from resolvers.visibility import Sight


def rows(sight: Sight, *where: Any) -> Rows:
    """Return visible statements, newest first."""
    table = sight(Statement)
    conditions = [condition(table) for condition in where]
    return Rows(table, conditions, (table.c.issued_on, table.c.serial), True, "statement")


def statements(client: Any, sight: Sight, date_range: DateRange | None = None) -> Rows:
    return rows(
        sight, lambda table: owned(table, client, sight), lambda table: in_period(table, date_range)
    )


def statement_lines(statement: Any, sight: Sight) -> Rows:
    return part_of(StatementLine, "statement_id", statement, sight)


def in_period(table: Any, date_range: DateRange | None) -> Any:
    return overlapping(table.c.period_start, table.c.period_end, date_range)


def part_of(model: type[Row], column: str, document: Any, sight: Sight) -> Rows:
    """Return the rows that a document consists of, in printed order."""
    table = sight(model)
    return Rows(table, [table.c[column] == document.c.id], (table.c.position,))


def letterhead(document: Any, sight: Sight) -> Rows:
    """Return the issuer of a document."""
    table = sight(Letterhead)
    return Rows(table, [table.c.id == document.c.letterhead_id])
