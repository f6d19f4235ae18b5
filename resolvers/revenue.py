"""The practice's revenue by period."""

import datetime as dt
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import cast

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Date,
    FromClause,
    SQLColumnExpression,
    Subquery,
    func,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy import cast as sql_cast

from billing.ledger.greatest import greatest
from billing.ledger.invoices import total
from billing.ledger.periods import Period, split_into_periods
from billing.ledger.receivables import is_of_invoice
from billing.ledger.revenue import FLOWS, Flows, of_allocations, of_charges, of_ledger
from models import Allocation, Invoice, LedgerEntry
from models.literals import constant
from planner.deferred import FieldError, MaybeDeferred, bind, map_deferred
from planner.sources import Rows
from planner.tables import TableAlias, as_column
from resolvers.aging import DueMovement, clinician_row_id, due_movements, of_invoices
from resolvers.filters import DateRange, Texts, ordered
from resolvers.list_parameter import ListParameter
from resolvers.visibility import AnySelect, Visibility

MOST = 400


class PeriodsRequest:
    """The requested periods, the first and last day of the range, and the therapist."""

    def __init__(
        self,
        range_: DateRange,
        period: Period,
        therapist: BindParameter[str] | None,
        visible: Visibility,
    ) -> None:
        if range_.gte is None or range_.lte is None:
            raise FieldError("BAD_RANGE", "both ends of the range are required, gte and lte")
        first, last = ordered(range_.gte, range_.lte)
        spans = map_deferred(lambda first, last: period_texts(first, last, period), first, last)
        self.visible, self.spans = visible, bind(spans, Texts())
        self.first, self.last = bind(first, Date()), bind(last, Date())
        self.therapist = therapist


def period_texts(first: dt.date, last: dt.date, period: Period) -> list[str]:
    """Return the periods as ISO 8601 intervals. Refuse more periods than the limit."""
    spans = list(islice(split_into_periods(first, last, period), MOST + 1))
    if len(spans) > MOST:
        raise FieldError(
            "BAD_RANGE",
            f"more than {MOST} periods: group by longer ones, or request fewer days at a time",
        )
    return [f"{start}/{end}" for start, end in spans]


class Periods:
    """The periods as rows, with their first and last days as text."""

    def __init__(self, request: PeriodsRequest) -> None:
        listed = ListParameter(request.spans, request.visible)
        self.table, self.place = listed.table, listed.place
        self.start, self.end = listed.text(1, 10), listed.text(12)


class DatedPeriod:
    """The columns of a period with its days in the stored form."""

    place: SQLColumnExpression[int]
    first: SQLColumnExpression[dt.date]
    last: SQLColumnExpression[dt.date]


def dated_periods(request: PeriodsRequest) -> TableAlias[DatedPeriod]:
    """Return the periods as rows, with their days in the stored form, which is text on SQLite."""
    periods = Periods(request)
    as_day = partial(sql_cast if request.visible.lateral else type_coerce, type_=Date)
    dated = (
        select(
            periods.place.label("place"),
            as_day(periods.start).label("first"),
            as_day(periods.end).label("last"),
        )
        .select_from(periods.table)
        # Prevents parsing the text again for each pair of a period and a day.
        .offset(constant(0))
    )
    return cast("TableAlias[DatedPeriod]", dated.subquery())


class RevenueRow:
    """A period, with values computed for all periods at once if a field needs them."""

    def __init__(self, periods: Periods, request: PeriodsRequest) -> None:
        self.start, self.end = periods.start, periods.end

        def same(sums: FromClause) -> ColumnElement[bool]:
            return sums.c.place == periods.place

        self.flows = request.visible.subquery(lambda: flows(request), on=same)
        self.due = request.visible.subquery(lambda: due(request), on=same)


def of_practice(
    _: object,
    visible: Visibility,
    date_range: DateRange,
    group_by: Period = Period.MONTH,
    clinician_id: MaybeDeferred[str] | None = None,
) -> Rows:
    """Return the periods of a range, earliest first.

    No row depends on a practice's row, since a viewer has access to one practice only.
    """
    therapist = clinician_row_id(clinician_id)
    request = PeriodsRequest(date_range, group_by, therapist, visible)
    periods = Periods(request)
    row = RevenueRow(periods, request)
    # The id is in every statement, so that it is checked even if no sum is selected.
    where = [] if therapist is None else [therapist.is_not(None)]
    return Rows(periods.table, where, (periods.place,), row=row, subqueries=(row.flows, row.due))


# -- for all periods at once -----------------------------------------------------------------------


def flows(request: PeriodsRequest) -> AnySelect:
    """Return the sums of each period. Rows are summed by day first, so that each is read once."""
    moved = money_movements(request.visible, request.therapist)
    in_range = moved.c.date.between(request.first, request.last)
    days = by_day(moved.c.date, {name: moved.c[name] for name in FLOWS}, in_range)
    return by_period(dated_periods(request), days, {name: total(days.c[name]) for name in FLOWS})


def due(request: PeriodsRequest) -> AnySelect:
    """Return the amount due at the end of each period: the sum of all movements up to then.

    Movements before the range count on its first day.
    """
    periods, moved = dated_periods(request), amounts_due_by_day(request.visible, request.therapist)
    since = greatest(as_column(moved.c.date), request.first)
    days = by_day(since, {"minor": moved.c.minor}, moved.c.date <= request.last)
    so_far = func.sum(total(days.c.minor)).over(order_by=periods.c.place)
    return by_period(periods, days, {"total": sql_cast(so_far, BigInteger)})


def amounts_due_by_day(
    visible: Visibility, therapist: BindParameter[str] | None
) -> TableAlias[DueMovement]:
    """Return the movements of the amounts due. All invoices together need not be looked up."""
    if therapist is not None:
        return due_movements(visible, therapist)
    entry, allocation = visible.for_totals(LedgerEntry), visible.for_totals(Allocation)
    billed = select(entry.c.posted_on.label("date"), entry.c.amount_minor.label("minor")).where(
        visible.predicate_for(entry), entry.c.invoice_id.is_not(None)
    )
    paid = select(allocation.c.date, -allocation.c.amount_minor).where(
        visible.predicate_for(allocation)
    )
    return cast("TableAlias[DueMovement]", union_all(billed, paid).subquery())


def by_period(
    periods: TableAlias[DatedPeriod], days: Subquery, sums: Mapping[str, ColumnElement[int]]
) -> AnySelect:
    """Return the sums over the days of each period, including periods without any day."""
    here = days.c.date.between(periods.c.first, periods.c.last)
    columns = [sum_.label(name) for name, sum_ in sums.items()]
    statement = select(periods.c.place, *columns).select_from(periods.outerjoin(days, here))
    return statement.group_by(periods.c.place)


def by_day(
    day: SQLColumnExpression[dt.date],
    amounts: Mapping[str, SQLColumnExpression[int]],
    where: ColumnElement[bool],
) -> Subquery:
    """Return the sums of each day."""
    sums = [total(amount).label(name) for name, amount in amounts.items()]
    return select(day.label("date"), *sums).where(where).group_by(day).subquery()


def money_movements(visible: Visibility, therapist: BindParameter[str] | None) -> Subquery:
    """Return the movements of money with their amounts per flow, for one therapist if given."""
    entry = visible.for_totals(LedgerEntry)
    if therapist is None:
        return row_flows(entry, of_ledger(entry)).where(visible.predicate_for(entry)).subquery()
    allocation = visible.for_totals(Allocation)
    return union_all(
        of_invoices(visible, entry, therapist, ledger_amounts),
        of_invoices(visible, allocation, therapist, allocated_amounts_by_day),
    ).subquery()


def ledger_amounts(entry: TableAlias[LedgerEntry], invoice: TableAlias[Invoice]) -> AnySelect:
    statement = row_flows(entry, of_charges(entry))
    return statement.join_from(entry, invoice, is_of_invoice(entry, invoice))


def allocated_amounts_by_day(
    allocation: TableAlias[Allocation], invoice: TableAlias[Invoice]
) -> AnySelect:
    statement = row_flows(allocation, of_allocations(allocation, invoice))
    return statement.join_from(allocation, invoice, is_of_invoice(allocation, invoice))


def row_flows(row: TableAlias[LedgerEntry | Allocation], flows: Flows) -> AnySelect:
    return select(row.c.date, *(flows.get(name, constant(0)).label(name) for name in FLOWS))
