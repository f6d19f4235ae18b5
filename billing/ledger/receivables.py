"""Receivables: the amounts due of all invoices as of any day, by age.

A ledger row counts from the day on which it was posted, and an allocation from its date on. So as
of today the total is the sum of the amounts due of all invoices.
"""

import datetime as dt
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select

# The number of days past due at which each age ends.
AGES = {"days_1_to_30": 30, "days_31_to_60": 60, "days_61_to_90": 90}


def is_of_invoice(row: Any, invoice: Any) -> ColumnElement[bool]:
    return and_(invoice.c.practice_id == row.c.practice_id, invoice.c.id == row.c.invoice_id)


def invoiced_amounts(entry: Any, invoice: Any) -> Select[Any]:
    """Select the amounts of ledger rows of invoices, with their start and due dates."""
    return movement(entry, invoice, entry.c.posted_on, entry.c.amount_minor)


def allocated_amounts(allocation: Any, invoice: Any) -> Select[Any]:
    """Select the amounts of allocations to invoices, as negative numbers."""
    return movement(allocation, invoice, allocation.c.date, -allocation.c.amount_minor)


def movement(
    row: Any, invoice: Any, since: ColumnElement[dt.date], minor: ColumnElement[int]
) -> Select[Any]:
    return select(
        since.label("date"), invoice.c.due_on.label("due_on"), minor.label("minor")
    ).join_from(row, invoice, is_of_invoice(row, invoice))


def days_before(day: dt.date, days: int) -> dt.date:
    """Return the date some days earlier, or the first possible date."""
    return dt.date.fromordinal(max(day.toordinal() - days, 1))


def ages(due_on: Any, as_of: Any, oldest: dict[str, Any]) -> dict[str, ColumnElement[bool]]:
    """Return the conditions for a due date to be of each age.

    `oldest` holds the first due date of each age in `AGES`.
    """
    conditions = {"not_due": or_(due_on.is_(None), due_on >= as_of)}
    later = as_of
    for name, first in oldest.items():
        conditions[name] = and_(due_on < later, due_on >= first)
        later = first
    return conditions | {"over_90": due_on < later}
