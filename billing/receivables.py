"""What is due of all invoices as of a day, and how late it is: derived, as of any day.

A ledger row of an invoice counts from its own day on, but not before the invoice is issued: a
session is entered on the day that it took place. What was put toward invoices counts likewise. So
as of today it is the sum of what is due of each invoice.
"""

import datetime as dt
from typing import Any

from sqlalchemy import ColumnElement, Date, Select, and_, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# How many days past due the older ones of each age are.
AGES = {"days_1_to_30": 30, "days_31_to_60": 60, "days_61_to_90": 90}


class latest(FunctionElement[dt.date]):
    """The last of some days."""

    type = Date()
    inherit_cache = True


@compiles(latest, "postgresql")
def latest_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **kw)})"


@compiles(latest, "sqlite")
def latest_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"max({compiler.process(element.clauses, **kw)})"


def of_invoice(row: Any, invoice: Any) -> ColumnElement[bool]:
    return and_(invoice.c.practice_id == row.c.practice_id, invoice.c.id == row.c.invoice_id)


def asked(entry: Any, invoice: Any) -> Select[Any]:
    """What ledger rows ask for invoices: since when, and when it is due."""
    return moved(entry, invoice, entry.c.amount_minor)


def put(allocation: Any, invoice: Any) -> Select[Any]:
    """What was put toward invoices, below zero."""
    return moved(allocation, invoice, -allocation.c.amount_minor)


def moved(row: Any, invoice: Any, minor: ColumnElement[int]) -> Select[Any]:
    since = latest(row.c.date, invoice.c.issued_on)
    return select(
        since.label("date"), invoice.c.due_on.label("due_on"), minor.label("minor")
    ).join_from(row, invoice, of_invoice(row, invoice))


def days_before(day: dt.date, days: int) -> dt.date:
    """There is none before the first day of all."""
    return dt.date.fromordinal(max(day.toordinal() - days, 1))


def ages(due_on: Any, as_of: Any, oldest: dict[str, Any]) -> dict[str, ColumnElement[bool]]:
    """Whether a due date is of an age. `oldest` has the first day that is of each in `AGES`."""
    conditions = {"not_due": or_(due_on.is_(None), due_on >= as_of)}
    later = as_of
    for name, first in oldest.items():
        conditions[name] = and_(due_on < later, due_on >= first)
        later = first
    return conditions | {"over_90": due_on < later}
