"""Superbills, their lines, their totals, and the information that they lack."""

from typing import Any

from sqlalchemy import ColumnElement, Select, exists, select, union_all

from billing.ledger.invoices import total
from billing.superbills import head_gaps, line_gaps
from models import Letterhead, Superbill, SuperbillDiagnosis, SuperbillLine
from planner.sources import Rows
from resolvers.clients import owned
from resolvers.filters import DateRange
from resolvers.statements import in_period, part_of
from resolvers.visibility import Sight


class SuperbillRow:
    """A superbill, with its totals if a field needs them."""

    def __init__(self, table: Any, sight: Sight) -> None:
        self.c, self.table, self.sight = table.c, table, sight
        self.totals = sight.beside(lambda: totals(table, sight))
        self.beside = (self.totals,)

    @property
    def is_complete(self) -> ColumnElement[bool]:
        return ~exists(select(gaps_of(self.table, self.sight).c.rank).correlate(self.table))


def rows(sight: Sight, *where: Any) -> Rows:
    """Return visible superbills, newest first."""
    table = sight(Superbill)
    row = SuperbillRow(table, sight)
    conditions = [condition(table) for condition in where]
    order = (table.c.issued_on, table.c.serial)
    return Rows(table, conditions, order, True, "superbill", row, row.beside)


def of_client(client: Any, sight: Sight, date_range: DateRange | None = None) -> Rows:
    return rows(
        sight, lambda table: owned(table, client, sight), lambda table: in_period(table, date_range)
    )


def lines(superbill: Any, sight: Sight) -> Rows:
    return part_of(SuperbillLine, "superbill_id", superbill, sight)


def diagnoses(superbill: Any, sight: Sight) -> Rows:
    return part_of(SuperbillDiagnosis, "superbill_id", superbill, sight)


def totals(superbill: Any, sight: Sight) -> Select[*tuple[Any, ...]]:
    line = sight(SuperbillLine)
    return (
        select(total(line.c.fee_minor).label("fee"), total(line.c.paid_minor).label("paid"))
        .select_from(line)
        .where(sight.only(line), of_superbill(line, superbill))
        .correlate(superbill)
    )


def gaps(superbill: SuperbillRow, sight: Sight) -> Rows:
    """Return the missing information: first that of the header, then line by line."""
    found = gaps_of(superbill.table, sight)
    return Rows(found, [], (found.c.rank, found.c.line))


def gaps_of(superbill: Any, sight: Sight) -> Any:
    letterhead, line = sight(Letterhead), sight(SuperbillLine)
    diagnosis = sight(SuperbillDiagnosis)
    printed = letterhead.c.id == superbill.c.letterhead_id
    has_diagnosis = (
        exists()
        .where(sight.only(diagnosis), of_superbill(diagnosis, superbill))
        .correlate(superbill)
    )
    of_head = [
        found.select_from(letterhead).where(sight.only(letterhead), printed).correlate(superbill)
        for found in head_gaps(superbill, letterhead, has_diagnosis)
    ]
    of_lines = [
        found.where(sight.only(line), of_superbill(line, superbill)).correlate(superbill)
        for found in line_gaps(line)
    ]
    return union_all(*of_head, *of_lines).subquery()


def of_superbill(part: Any, superbill: Any) -> ColumnElement[bool]:
    same: ColumnElement[bool] = part.c.superbill_id == superbill.c.id
    return same
