"""The amounts due on the practice's invoices as of a day, by the number of days past due."""

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Date,
    SQLColumnExpression,
    case,
    select,
    union_all,
)

from billing.ledger.invoices import total
from billing.ledger.receivables import AGES, ages, allocated_amounts, days_before, invoiced_amounts
from models import Allocation, Invoice, LedgerEntry
from planner.deferred import MaybeDeferred, bind, map_deferred
from planner.sources import Rows
from planner.tables import TableAlias
from resolvers.days import until_today
from resolvers.ids import row_id
from resolvers.visibility import AnySelect, Visibility

R = TypeVar("R")


class Ages:
    """The columns of the amounts due, by the number of days past due."""

    not_due: SQLColumnExpression[int]
    days_1_to_30: SQLColumnExpression[int]
    days_31_to_60: SQLColumnExpression[int]
    days_61_to_90: SQLColumnExpression[int]
    over_90: SQLColumnExpression[int]
    total: SQLColumnExpression[int]


class AgingRow:
    """The amounts due as of a day, by the number of days past due."""

    def __init__(self, sums: TableAlias[Ages], as_of: ColumnElement[dt.date]) -> None:
        self.c, self.as_of = sums.c, as_of


def of_practice(
    _: object,
    visible: Visibility,
    as_of: MaybeDeferred[dt.date] | None = None,
    clinician_id: MaybeDeferred[str] | None = None,
) -> Rows:
    """Return a single row.

    The row does not depend on a practice's row, since a viewer has access to one practice only.
    """
    therapist = clinician_row_id(clinician_id)
    day = visible.today if as_of is None else map_deferred(until_today, as_of, visible.today)
    moved = due_movements(visible, therapist)
    until = bind(day, Date())
    oldest = {
        age: bind(map_deferred(partial(days_before, days=days), day), Date())
        for age, days in AGES.items()
    }
    sums = [
        total(case((is_of_age, moved.c.minor))).label(age)
        for age, is_of_age in ages(moved.c.due_on, until, oldest).items()
    ]
    statement = select(*sums, total(moved.c.minor).label("total"))
    by_age = cast("TableAlias[Ages]", statement.where(moved.c.date <= until).subquery())
    return Rows(by_age, row=AgingRow(by_age, until))


def clinician_row_id(clinician_id: MaybeDeferred[str] | None) -> BindParameter[str] | None:
    """Return the row id of the therapist, or None."""
    return None if clinician_id is None else row_id(clinician_id, "cln")


class DueMovement:
    """The columns of a movement of an amount due."""

    date: SQLColumnExpression[dt.date]
    due_on: SQLColumnExpression[dt.date | None]
    minor: SQLColumnExpression[int]


def due_movements(
    visible: Visibility, therapist: BindParameter[str] | None
) -> TableAlias[DueMovement]:
    """Return the movements of the amounts due on visible invoices, with their dates."""
    entry, allocation = visible.for_totals(LedgerEntry), visible.for_totals(Allocation)
    movements = union_all(
        of_invoices(visible, entry, therapist, invoiced_amounts),
        of_invoices(visible, allocation, therapist, allocated_amounts),
    )
    return cast("TableAlias[DueMovement]", movements.subquery())


def of_invoices(
    visible: Visibility,
    row: TableAlias[R],
    therapist: BindParameter[str] | None,
    join: Callable[[TableAlias[R], TableAlias[Invoice]], AnySelect],
) -> AnySelect:
    """Join rows with their visible invoices, and restrict them to one therapist if given."""
    invoice = visible.for_totals(Invoice)
    seen = join(row, invoice).where(visible.predicate_for(row), visible.predicate_for(invoice))
    return seen if therapist is None else seen.where(invoice.c.clinician_id == therapist)
