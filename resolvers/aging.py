"""The amounts due on the practice's invoices as of a day, by the number of days past due."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import BindParameter, Date, Select, Subquery, case, select, union_all

from billing.ledger.invoices import total
from billing.ledger.receivables import AGES, ages, allocated_amounts, days_before, invoiced_amounts
from models import Allocation, Invoice, LedgerEntry
from planner.deferred import bind, map_deferred
from planner.sources import Rows
from resolvers.days import until_today
from resolvers.ids import row_id
from resolvers.visibility import Visibility


class AgingRow:
    """The amounts due as of a day, by the number of days past due."""

    def __init__(self, sums: Any, as_of: Any) -> None:
        self.c, self.as_of = sums.c, as_of


def of_practice(_: Any, visible: Visibility, as_of: Any = None, clinician_id: Any = None) -> Rows:
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
    by_age = statement.where(moved.c.date <= until).subquery()
    return Rows(by_age, row=AgingRow(by_age, until))


def clinician_row_id(clinician_id: Any) -> BindParameter[Any] | None:
    """Return the row id of the therapist, or None."""
    return None if clinician_id is None else row_id(clinician_id, "cln")


def due_movements(visible: Visibility, therapist: Any) -> Subquery:
    """Return the movements of the amounts due on visible invoices, with their dates."""
    asks, puts = (visible.for_totals(model) for model in (LedgerEntry, Allocation))
    return union_all(
        of_invoices(visible, asks, therapist, invoiced_amounts),
        of_invoices(visible, puts, therapist, allocated_amounts),
    ).subquery()


def of_invoices(
    visible: Visibility, row: Any, therapist: Any, found: Callable[[Any, Any], Select[Any]]
) -> Select[Any]:
    """Join rows with their visible invoices, and restrict them to one therapist if given."""
    invoice: Any = visible.for_totals(Invoice)
    seen = found(row, invoice).where(visible.predicate_for(row), visible.predicate_for(invoice))
    return seen if therapist is None else seen.where(invoice.c.clinician_id == therapist)
