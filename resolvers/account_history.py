"""The account history: the ledger, uninvoiced sessions, and payments without a ledger entry.

Entries of the ledger are listed by the day on which they were posted, in which order the balance
runs too.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    union_all,
)

from billing.ledger.history import HistoryStatus, row_status
from billing.ledger.invoices import InvoiceTotals, total
from models import ACTIVE_STATES, EntryKind, Invoice, LedgerEntry, Payment, PaymentState, Session
from models.literals import constant
from models.row import ID
from planner.json_text import NotNull
from planner.sources import Rows
from resolvers.clients import correlated, is_invoiced, of_visible_client
from resolvers.days import days_ago
from resolvers.filters import DateRange, among, within_dates
from resolvers.invoices import totals_subquery
from resolvers.money import Amount
from resolvers.visibility import Visibility

DEFAULT_DAYS = 30
# The description of a payment without a ledger entry.
UNSETTLED_PAYMENT = literal_column("'Payment'", Text)


class HistoryRow:
    """An entry, with values computed per row if a field needs them."""

    def __init__(
        self, table: Any, visible: Visibility, client: Any = None, *, is_whole: bool = False
    ) -> None:
        self.c, self.is_whole = table.c, is_whole
        self.service_date, self.paid_on = service_date(table.c), paid_on(table.c)
        # Subtracting from the current balance sums few rows, since mostly the newest are requested.
        self.account = client.account if client and visible.lateral else None
        # The status of each kind of entry depends on at most one of these.
        self.void = visible.subquery(
            lambda: is_void(table, visible), always=False, rarely_read=True
        )
        self.billed, self.paid = totals_subquery(visible, table.c.invoice_id, rarely_read=True)
        self.refunded = visible.subquery(lambda: refunded_amount(table, visible), rarely_read=True)
        self.moved = visible.subquery(
            lambda: balance_change(table, visible, later=self.account is not None)
        )
        self.subqueries = (self.void, self.billed, self.paid, self.refunded, self.moved)

    @property
    def status(self) -> ColumnElement[str]:
        invoice = InvoiceTotals(self.void["is_void"], self.billed, self.paid)
        of_ledger = row_status(self.c.kind, self.c.change_minor, invoice, self.refunded["total"])
        return func.coalesce(self.c.status, of_ledger)

    @property
    def balance_after(self) -> Amount:
        if self.account is None:
            return Amount(self.moved["total"])
        # If no newer entry is filtered out, the page itself contains all later entries.
        later = newer(self.c) if self.is_whole else self.moved["total"]
        return Amount(self.account.balance - later)


def of_client(
    client: Any,
    visible: Visibility,
    date_range: DateRange | None = None,
    kind: list[EntryKind] | None = None,
    *,
    from_start: bool = False,
) -> Rows:
    range_ = DateRange(gte=days_ago(DEFAULT_DAYS)) if date_range is None else date_range  # type: ignore[arg-type]
    found = [
        branch.where(of_visible_client(table, client, visible), within(table, range_)).correlate(
            client.c.id.table
        )
        for branch, table, within in branches(visible)
    ]
    is_whole = from_start and kind is None and range_.lte is None
    entries = union_all(*found).subquery()
    row = HistoryRow(entries, visible, client, is_whole=is_whole)
    return rows(entries, row, among(entries.c.kind, kind))


def by_id(id_: Any, visible: Visibility, *around: Any) -> Rows:
    """Return the entry with this id, for any visible client. `around` are the id's own tables."""
    found = [
        branch.where(table.c.id == id_).correlate(*around) for branch, table, _ in branches(visible)
    ]
    entries = union_all(*found).subquery()
    return rows(entries, HistoryRow(entries, visible))


def of_practice(
    _: Any,
    visible: Visibility,
    date_range: DateRange | None = None,
    kind: list[EntryKind] | None = None,
) -> Rows:
    """Return the ledger of all visible clients."""
    statement, entry = posted_entries(visible)
    if date_range is not None:
        statement = statement.where(posted_or_served(entry, date_range))
    entries = statement.subquery()
    return rows(entries, HistoryRow(entries, visible), among(entries.c.kind, kind))


def rows(entries: Any, row: HistoryRow, *where: ColumnElement[bool]) -> Rows:
    """Return entries, newest first."""
    order = (entries.c.date, entries.c.id)
    return Rows(entries, where, order, True, "history", row, row.subqueries)


Within = Callable[[Any, DateRange], ColumnElement[bool]]


def branches(visible: Visibility) -> Sequence[tuple[Select[Any], Any, Within]]:
    """Return the parts of the history, each with its table and its condition for a date range."""
    session, payment = visible(Session), visible.for_documents(Payment)
    uninvoiced = entries_of(
        session,
        visible,
        date=session.c.date,
        day=session.c.date,
        kind=constant(EntryKind.SESSION),
        description=session.c.description,
        amount_minor=session.c.fee_minor,
        status=constant(HistoryStatus.UNINVOICED),
        session_id=session.c.id,
    ).where(~is_invoiced(session, visible))
    status = unsettled_status(payment)
    unsettled = entries_of(
        payment,
        visible,
        date=payment.c.created_on,
        day=payment.c.created_on,
        kind=constant(EntryKind.PAYMENT),
        description=UNSETTLED_PAYMENT,
        amount_minor=-payment.c.amount_minor,
        status=status,
        payment_id=payment.c.id,
    ).where(status.is_not(None))
    return (
        (*posted_entries(visible), posted_or_served),
        (uninvoiced, session, lambda table, range_: within_dates(table.c.date, range_)),
        (unsettled, payment, lambda table, range_: within_dates(table.c.created_on, range_)),
    )


def posted_entries(visible: Visibility) -> tuple[Select[Any], Any]:
    """Return the entries of the ledger, and its table."""
    entry = visible(LedgerEntry)
    statement = entries_of(
        entry,
        visible,
        date=entry.c.posted_on,
        day=entry.c.date,
        posted_on=entry.c.posted_on,
        kind=cast(entry.c.kind, Text),
        description=entry.c.description,
        amount_minor=entry.c.amount_minor,
        change_minor=entry.c.amount_minor,
        session_id=entry.c.session_id,
        invoice_id=entry.c.invoice_id,
        payment_id=entry.c.payment_id,
    )
    return statement, entry


# The columns that not every part has.
NONE = {
    "posted_on": cast(null(), Date),
    "status": cast(null(), Text),
    "change_minor": constant(0),
    "session_id": cast(null(), ID),
    "invoice_id": cast(null(), ID),
    "payment_id": cast(null(), ID),
}


def entries_of(table: Any, visible: Visibility, **columns: Any) -> Select[Any]:
    """Select the rows of one table, with the columns common to all parts in the same order."""
    named = {name: columns.get(name, NONE.get(name)) for name in COLUMNS}
    return select(
        table.c.practice_id,
        table.c.client_id,
        table.c.id,
        *(column.label(name) for name, column in named.items()),
    ).where(visible.predicate_for(table))


COLUMNS = (
    *("date", "day", "kind", "description", "amount_minor"),
    *NONE,
)


def posted_or_served(entry: Any, range_: DateRange) -> ColumnElement[bool]:
    """Return the condition for ledger rows posted in a range, or dated in it and posted later."""
    posted = within_dates(entry.c.posted_on, range_)
    if range_.lte is None:
        # A row dated in the range was then posted in it too.
        return posted
    is_earlier = entry.c.date < entry.c.posted_on
    return or_(posted, and_(is_earlier, within_dates(entry.c.date, range_)))


def service_date(entry: Any) -> ColumnElement[dt.date]:
    """Return the day of service of a session or another charge."""
    charge = entry.kind.in_([constant(EntryKind.SESSION), constant(EntryKind.CHARGE)])
    return case((charge, entry.day))


def paid_on(entry: Any) -> ColumnElement[dt.date]:
    """Return the day on which the money of an entry moved."""
    kinds = (EntryKind.PAYMENT, EntryKind.REFUND, EntryKind.DISPUTE)
    moved = and_(entry.kind.in_([constant(kind) for kind in kinds]), entry.posted_on.is_not(None))
    return case((moved, entry.day))


def unsettled_status(payment: Any) -> ColumnElement[str]:
    """Return the status of a payment without money moved. Canceled payments have none."""
    active = payment.c.state.in_([constant(state) for state in ACTIVE_STATES])
    failed = payment.c.state == constant(PaymentState.FAILED)
    return case((active, constant(HistoryStatus.PENDING)), (failed, constant(HistoryStatus.FAILED)))


# -- values computed per entry ---------------------------------------------------------------------


def is_void(entry: Any, visible: Visibility) -> Select[Any]:
    invoice = visible.for_totals(Invoice)
    return (
        select(invoice.c.is_void.label("is_void"))
        .where(
            visible.predicate_for(invoice),
            invoice.c.id == entry.c.invoice_id,
        )
        .correlate(entry)
    )


def refunded_amount(entry: Any, visible: Visibility) -> Select[Any]:
    """Return the amount refunded of the entry's payment."""
    other = visible.for_totals(LedgerEntry)
    return (
        select(total(other.c.amount_minor).label("total"))
        .select_from(other)
        .where(
            visible.predicate_for(other),
            other.c.payment_id == entry.c.payment_id,
            other.c.kind == constant(EntryKind.REFUND),
        )
        .correlate(entry)
    )


def newer(entry: Any) -> ColumnElement[int]:
    """Return the sum of the entries before this one, newest first, over the page's own window."""
    so_far = func.sum(entry.change_minor).over(order_by=(entry.date.desc(), entry.id.desc()))
    return NotNull(cast(so_far, BigInteger) - entry.change_minor)


def balance_change(entry: Any, visible: Visibility, *, later: bool) -> Select[Any]:
    """Sum the client's ledger after this entry, or up to and including it.

    The sum does not depend on the page or the date range.
    """
    other = visible.for_totals(LedgerEntry)
    its, own = tuple_(other.c.posted_on, other.c.id), tuple_(entry.c.date, entry.c.id)
    condition = its > own if later else its <= own
    statement = select(total(other.c.amount_minor).label("total")).select_from(other)
    same_client = other.c.client_id == visible.client_id(entry.c.client_id)
    statement = statement.where(visible.predicate_for(other), same_client, condition)
    return correlated(statement, entry.c.id)  # type: ignore[no-any-return]
