"""Reports: the practice's amounts in a period, the amount due at its end, and its age."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from models import Allocation, EntryKind, Invoice, LedgerEntry
from tests.oracle.money import summed
from tests.oracle.pages import Whole, bare_id
from tests.oracle.world import World, refusal

MOST = 400
A_DAY = dt.timedelta(days=1)
CHARGES = (EntryKind.SESSION, EntryKind.CHARGE)

# The common property of the days in one period.
SAME: Mapping[str, Callable[[dt.date], Any]] = {
    "DAY": lambda day: day,
    "WEEK": lambda day: day.isocalendar()[:2],
    "MONTH": lambda day: (day.year, day.month),
    "QUARTER": lambda day: (day.year, (day.month - 1) // 3),
    "YEAR": lambda day: day.year,
}


class RevenuePeriod(Whole):
    """A period over the rows of some invoices, or over the whole practice if `of` is None."""

    def __init__(self, world: World, start: dt.date, end: dt.date, of: str | None) -> None:
        self.world, self.start, self.end, self.of = world, start, end, of

    def entries(self, *kinds: EntryKind) -> list[Any]:
        """Return the ledger entries of these days and kinds, of the invoices in question."""
        found = [row for row in self.world.where(LedgerEntry) if row.kind in kinds]
        return [row for row in self.on_its_days(found) if self.is_of(row)]

    def shares(self, reason: str) -> list[Any]:
        rows = [row for row in self.on_its_days(self.world.where(Allocation)) if self.is_of(row)]
        return [row for row in rows if reason_of(self.world, row) == reason]

    def on_its_days(self, rows: list[Any]) -> list[Any]:
        return [row for row in rows if self.start <= row.date <= self.end]

    def is_of(self, row: Any) -> bool:
        if self.of is None:
            return True
        invoice = self.world.by_id(Invoice, row.invoice_id)
        return invoice is not None and invoice.clinician_id == self.of

    @property
    def invoiced(self) -> int:
        return summed(self.entries(*CHARGES))

    @property
    def collected(self) -> int:
        if self.of is None:
            return -summed(self.entries(EntryKind.PAYMENT))
        return summed(self.shares("paid"))

    @property
    def refunded(self) -> int:
        if self.of is None:
            return summed(self.entries(EntryKind.REFUND))
        return -summed(self.shares("refunded"))

    @property
    def charged_back(self) -> int:
        if self.of is None:
            return summed(self.entries(EntryKind.DISPUTE))
        return -summed(self.shares("disputed"))

    @property
    def written_off(self) -> int:
        return -summed(self.entries(EntryKind.WRITE_OFF))

    @property
    def outstanding_at_end(self) -> int:
        return sum(due for _, due in dues(self.world, self.end, self.of))


def reason_of(world: World, row: Any) -> str:
    """Return the reason for an allocation.

    A refund or a dispute took the amount back or restored it if the row names one. Otherwise a
    payment's amount is taken back from an invoice by a refund, unless the invoice is voided.
    """
    if row.dispute_id is not None:
        return "disputed"
    if row.refund_id is not None:
        return "refunded"
    invoice = world.by_id(Invoice, row.invoice_id)
    for_a_void = invoice.is_void and invoice.voided_on <= row.date
    is_refund = row.amount_minor < 0 and not row.is_credit and not for_a_void
    return "refunded" if is_refund else "paid"


def dues(world: World, day: dt.date, of: str | None) -> Iterator[tuple[Any, int]]:
    """Yield the amount due of each invoice at the end of a day, from the rows up to that day."""
    for invoice in world.where(Invoice):
        if of in (None, invoice.clinician_id):
            entries = world.where(LedgerEntry, invoice_id=invoice.id)
            puts = world.where(Allocation, invoice_id=invoice.id)
            asked = summed(row for row in entries if row.posted_on <= day)
            yield invoice, asked - summed(row for row in puts if row.date <= day)


def revenue(world: World, date_range: Any, group_by: str, of: str | None) -> list[RevenuePeriod]:
    first, last = date_range.get("gte"), date_range.get("lte")
    if first is None or last is None or first > last:
        raise refusal("BAD_RANGE")
    return [RevenuePeriod(world, *days, of) for days in periods(first, last, SAME[group_by])]


def periods(first: dt.date, last: dt.date, same: Any) -> list[tuple[dt.date, dt.date]]:
    """Divide a range into periods day by day; refuse a range with too many periods."""
    found, day = [(first, first)], first
    while day < last:
        day += A_DAY
        if same(day) == same(found[-1][0]):
            found[-1] = (found[-1][0], day)
        elif len(found) == MOST:
            raise refusal("BAD_RANGE")
        else:
            found.append((day, day))
    return found


class Aging(Whole):
    """Amounts due at the end of a day, by the days since their due date."""

    def __init__(self, world: World, as_of: dt.date, of: str | None) -> None:
        self.world, self.as_of = world, as_of
        self.dues = list(dues(world, as_of, of))

    def late(self, least: int, most: int) -> int:
        return sum(due for invoice, due in self.dues if least <= self.days(invoice) <= most)

    def days(self, invoice: Any) -> int:
        return 0 if invoice.due_on is None else max(0, (self.as_of - invoice.due_on).days)

    @property
    def current(self) -> int:
        return self.late(0, 0)

    @property
    def days1_to30(self) -> int:
        return self.late(1, 30)

    @property
    def days31_to60(self) -> int:
        return self.late(31, 60)

    @property
    def days61_to90(self) -> int:
        return self.late(61, 90)

    @property
    def over90(self) -> int:
        return self.late(91, dt.date.max.toordinal())

    @property
    def total(self) -> int:
        return sum(due for _, due in self.dues)


def aging(world: World, as_of: dt.date | None, of: str | None) -> Aging:
    day = world.today if as_of is None else as_of
    if day > world.today:
        raise refusal("BAD_INPUT")
    return Aging(world, day, of)


def therapist(clinician_id: str | None) -> str | None:
    return None if clinician_id is None else bare_id(clinician_id, "cln")
