"""Statements and superbills: frozen documents, with their lines."""

from typing import Any

from sqlalchemy import Select, and_, select

from billing.invoices import total
from models import Statement, StatementLine, Superbill, SuperbillDiagnosis, SuperbillLine
from models.row import Row
from resolvers.clients import owned
from resolvers.filters import DateRange, overlapping
from resolvers.planner.sources import Rows
from resolvers.sight import Sight


def statements(client: Any, sight: Sight, date_range: DateRange | None = None) -> Rows:
    table = sight(Statement)
    where = [owned(table, client), in_period(table, date_range)]
    return Rows(table, where, (table.c.issued_on, table.c.serial), True, "statement")


def statement_lines(statement: Any, sight: Sight) -> Rows:
    return part_of(StatementLine, "statement_id", statement, sight)


class SuperbillRow:
    """A superbill, and its totals where a field asks for them."""

    def __init__(self, table: Any, sight: Sight) -> None:
        self.c = table.c
        self.totals = sight.beside(lambda: totals(table, sight))
        self.beside = (self.totals,)


def superbills(client: Any, sight: Sight, date_range: DateRange | None = None) -> Rows:
    table = sight(Superbill)
    row = SuperbillRow(table, sight)
    where = [owned(table, client), in_period(table, date_range)]
    keys = (table.c.issued_on, table.c.serial)
    return Rows(table, where, keys, True, "superbill", row, row.beside)


def superbill_lines(superbill: Any, sight: Sight) -> Rows:
    return part_of(SuperbillLine, "superbill_id", superbill, sight)


def diagnoses(superbill: Any, sight: Sight) -> Rows:
    return part_of(SuperbillDiagnosis, "superbill_id", superbill, sight)


def totals(superbill: Any, sight: Sight) -> Select[*tuple[Any, ...]]:
    line = sight(SuperbillLine)
    return (
        select(total(line.c.fee_minor).label("fee"), total(line.c.paid_minor).label("paid"))
        .select_from(line)
        .where(
            sight.only(line),
            line.c.practice_id == superbill.c.practice_id,
            line.c.superbill_id == superbill.c.id,
        )
        .correlate(superbill)
    )


def in_period(table: Any, date_range: DateRange | None) -> Any:
    return overlapping(table.c.period_start, table.c.period_end, date_range)


def part_of(model: type[Row], column: str, document: Any, sight: Sight) -> Rows:
    """The rows that a document is made of, in their order on paper."""
    table = sight(model)
    same = and_(table.c.practice_id == document.c.practice_id, table.c[column] == document.c.id)
    return Rows(table, [same], (table.c.position,))
