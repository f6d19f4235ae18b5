"""The account history: the ledger, uninvoiced sessions, and payments without a ledger entry.

Entries of the ledger are listed by the day on which they were posted, in which order the balance
runs too.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    FromClause,
    SelectBase,
    SQLColumnExpression,
    Text,
    and_,
    case,
    func,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy import cast as sql_cast

from billing.ledger.history import HistoryStatus, row_status
from billing.ledger.invoices import InvoiceTotals, total
from models import ACTIVE_STATES, EntryKind, Invoice, LedgerEntry, Payment, PaymentState, Session
from models.literals import constant
from models.row import ID
from planner.json_text import NotNull
from planner.sources import Rows
from planner.tables import TableAlias
from resolvers.clients import ClientRow, is_invoiced, of_visible_client
from resolvers.days import days_ago
from resolvers.filters import DateRange, among, within_dates
from resolvers.invoices import totals_subquery
from resolvers.money import Amount
from resolvers.payments import disputes, refunded_amount
from resolvers.visibility import AnySelect, Visibility

DEFAULT_DAYS = 30
# The description of a payment without a ledger entry.
UNSETTLED_PAYMENT = literal_column("'Payment'", Text)


class HistoryEntry:
    """The columns common to all parts of the history."""

    practice_id: SQLColumnExpression[str]
    client_id: SQLColumnExpression[str]
    id: SQLColumnExpression[str]
    date: SQLColumnExpression[dt.date]
    day: SQLColumnExpression[dt.date]
    kind: SQLColumnExpression[str]
    description: SQLColumnExpression[str]
    amount_minor: SQLColumnExpression[int]
    posted_on: SQLColumnExpression[dt.date | None]
    status: SQLColumnExpression[str | None]
    change_minor: SQLColumnExpression[int]
    session_id: SQLColumnExpression[str | None]
    invoice_id: SQLColumnExpression[str | None]
    payment_id: SQLColumnExpression[str | None]


History = TableAlias[HistoryEntry]


class HistoryRow:
    """An entry, with values computed per row if a field needs them."""

    def __init__(
        self,
        table: History,
        visible: Visibility,
        client: ClientRow | None = None,
        *,
        is_whole: bool = False,
    ) -> None:
        self.c, self.table, self.is_whole = table.c, table, is_whole
        self.service_date, self.paid_on = service_date(table), paid_on(table)
        # Subtracting from the current balance sums few rows, since mostly the newest are requested.
        self.account = client.account if client and visible.lateral else None
        # The status of each kind of entry depends on at most one of these.
        self.void = visible.subquery(
            lambda: is_void(table, visible), always=False, rarely_read=True
        )
        self.billed, self.paid = totals_subquery(
            visible, table.c.invoice_id, table, rarely_read=True
        )
        self.refunded = visible.subquery(
            lambda: refunded_amount(visible, table.c.payment_id, table), rarely_read=True
        )
        self.disputes = visible.subquery(
            lambda: disputes(visible, table.c.payment_id, table), rarely_read=True
        )
        self.moved = visible.subquery(
            lambda: balance_change(table, visible, later=self.account is not None)
        )
        self.subqueries = (
            self.void,
            self.billed,
            self.paid,
            self.refunded,
            self.disputes,
            self.moved,
        )

    @property
    def status(self) -> ColumnElement[str]:
        invoice = InvoiceTotals(self.void["is_void"], self.billed, self.paid)
        of_ledger = row_status(
            self.c.kind,
            self.c.change_minor,
            invoice,
            self.refunded["total"],
            self.disputes["status"],
        )
        return func.coalesce(self.c.status, of_ledger)

    @property
    def balance_after(self) -> Amount:
        if self.account is None:
            return Amount(self.moved["total"])
        # If no newer entry is filtered out, the page itself contains all later entries.
        later = newer(self.table) if self.is_whole else self.moved["total"]
        return Amount(self.account.balance - later)


def of_client(
    client: ClientRow,
    visible: Visibility,
    date_range: DateRange | None = None,
    kind: list[EntryKind] | None = None,
    *,
    from_start: bool = False,
) -> Rows:
    range_ = DateRange(gte=days_ago(DEFAULT_DAYS)) if date_range is None else date_range
    found = [
        branch.statement.where(
            of_visible_client(branch.client_id, client, visible), branch.within(range_)
        ).correlate(client.table)
        for branch in branches(visible)
    ]
    is_whole = from_start and kind is None and range_.lte is None
    entries = as_history(union_all(*found))
    row = HistoryRow(entries, visible, client, is_whole=is_whole)
    return rows(entries, row, among(entries.c.kind, kind))


def by_id(id_: ColumnElement[str], visible: Visibility, *around: FromClause) -> Rows:
    """Return the entry with this id, for any visible client. `around` are the id's own tables."""
    found = [
        branch.statement.where(branch.id == id_).correlate(*around) for branch in branches(visible)
    ]
    entries = as_history(union_all(*found))
    return rows(entries, HistoryRow(entries, visible))


def of_practice(
    _: object,
    visible: Visibility,
    date_range: DateRange | None = None,
    kind: list[EntryKind] | None = None,
) -> Rows:
    """Return the ledger of all visible clients."""
    ledger = posted_entries(visible)
    entries = as_history(
        ledger.statement.where(ledger.within(date_range)) if date_range else ledger.statement
    )
    return rows(entries, HistoryRow(entries, visible), among(entries.c.kind, kind))


def as_history(entries: SelectBase) -> History:
    return cast("History", entries.subquery())


def rows(entries: History, row: HistoryRow, *where: ColumnElement[bool]) -> Rows:
    """Return entries, newest first."""
    order = (entries.c.date, entries.c.id)
    return Rows(entries, where, order, True, "history", row, row.subqueries)


@dataclass(frozen=True)
class Branch:
    """A part of the history: its rows as entries, two columns of its own table, and its condition
    for a date range.
    """

    statement: AnySelect
    id: SQLColumnExpression[str]
    client_id: SQLColumnExpression[str]
    within: Callable[[DateRange], ColumnElement[bool]]


def branches(visible: Visibility) -> Sequence[Branch]:
    return posted_entries(visible), uninvoiced_sessions(visible), unsettled_payments(visible)


def posted_entries(visible: Visibility) -> Branch:
    """Return the entries of the ledger."""
    entry = visible(LedgerEntry)
    statement = entries_of(
        entry,
        visible,
        date=entry.c.posted_on,
        day=entry.c.date,
        posted_on=entry.c.posted_on,
        kind=sql_cast(entry.c.kind, Text),
        description=entry.c.description,
        amount_minor=entry.c.amount_minor,
        change_minor=entry.c.amount_minor,
        session_id=entry.c.session_id,
        invoice_id=entry.c.invoice_id,
        payment_id=entry.c.payment_id,
    )
    return Branch(
        statement, entry.c.id, entry.c.client_id, lambda range_: posted_or_served(entry, range_)
    )


def uninvoiced_sessions(visible: Visibility) -> Branch:
    session = visible(Session)
    statement = entries_of(
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
    return Branch(
        statement,
        session.c.id,
        session.c.client_id,
        lambda range_: within_dates(session.c.date, range_),
    )


def unsettled_payments(visible: Visibility) -> Branch:
    payment = visible.for_documents(Payment)
    status = unsettled_status(payment)
    statement = entries_of(
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
    return Branch(
        statement,
        payment.c.id,
        payment.c.client_id,
        lambda range_: within_dates(payment.c.created_on, range_),
    )


NO_DAY: ColumnElement[dt.date | None] = sql_cast(null(), Date)
NO_ID: ColumnElement[str | None] = sql_cast(null(), ID)
NO_STATUS: ColumnElement[str | None] = sql_cast(null(), Text)
NO_CHANGE = constant(0)


def entries_of(
    table: TableAlias[LedgerEntry | Session | Payment],
    visible: Visibility,
    *,
    date: SQLColumnExpression[dt.date],
    day: SQLColumnExpression[dt.date],
    kind: SQLColumnExpression[str],
    description: SQLColumnExpression[str],
    amount_minor: SQLColumnExpression[int],
    posted_on: SQLColumnExpression[dt.date | None] = NO_DAY,
    status: SQLColumnExpression[str | None] = NO_STATUS,
    change_minor: SQLColumnExpression[int] = NO_CHANGE,
    session_id: SQLColumnExpression[str | None] = NO_ID,
    invoice_id: SQLColumnExpression[str | None] = NO_ID,
    payment_id: SQLColumnExpression[str | None] = NO_ID,
) -> AnySelect:
    """Select the rows of one table, with the columns of `HistoryEntry` in the same order."""
    return select(
        table.c.practice_id,
        table.c.client_id,
        table.c.id,
        date.label("date"),
        day.label("day"),
        kind.label("kind"),
        description.label("description"),
        amount_minor.label("amount_minor"),
        posted_on.label("posted_on"),
        status.label("status"),
        change_minor.label("change_minor"),
        session_id.label("session_id"),
        invoice_id.label("invoice_id"),
        payment_id.label("payment_id"),
    ).where(visible.predicate_for(table))


def posted_or_served(entry: TableAlias[LedgerEntry], range_: DateRange) -> ColumnElement[bool]:
    """Return the condition for ledger rows posted in a range, or dated in it and posted later."""
    posted = within_dates(entry.c.posted_on, range_)
    if range_.lte is None:
        # A row dated in the range was then posted in it too.
        return posted
    is_earlier = entry.c.date < entry.c.posted_on
    return or_(posted, and_(is_earlier, within_dates(entry.c.date, range_)))


def service_date(entry: History) -> ColumnElement[dt.date]:
    """Return the day of service of a session or another charge."""
    charge = entry.c.kind.in_([constant(EntryKind.SESSION), constant(EntryKind.CHARGE)])
    return case((charge, entry.c.day))


def paid_on(entry: History) -> ColumnElement[dt.date]:
    """Return the day on which the money of an entry moved."""
    kinds = (EntryKind.PAYMENT, EntryKind.REFUND, EntryKind.DISPUTE)
    moved = and_(
        entry.c.kind.in_([constant(kind) for kind in kinds]), entry.c.posted_on.is_not(None)
    )
    return case((moved, entry.c.day))


def unsettled_status(payment: TableAlias[Payment]) -> ColumnElement[str]:
    """Return the status of a payment without money moved. Canceled payments have none."""
    active = payment.c.state.in_([constant(state) for state in ACTIVE_STATES])
    failed = payment.c.state == constant(PaymentState.FAILED)
    return case((active, constant(HistoryStatus.PENDING)), (failed, constant(HistoryStatus.FAILED)))


# -- values computed per entry ---------------------------------------------------------------------


def is_void(entry: History, visible: Visibility) -> AnySelect:
    invoice = visible.for_totals(Invoice)
    return (
        select(invoice.c.is_void.label("is_void"))
        .where(
            visible.predicate_for(invoice),
            invoice.c.id == entry.c.invoice_id,
        )
        .correlate(entry)
    )


def newer(entry: History) -> ColumnElement[int]:
    """Return the sum of the entries before this one, newest first, over the page's own window."""
    order = (entry.c.date.desc(), entry.c.id.desc())
    so_far = func.sum(entry.c.change_minor).over(order_by=order)
    return NotNull(sql_cast(so_far, BigInteger) - entry.c.change_minor)


def balance_change(entry: History, visible: Visibility, *, later: bool) -> AnySelect:
    """Sum the client's ledger after this entry, or up to and including it.

    The sum does not depend on the page or the date range.
    """
    other = visible.for_totals(LedgerEntry)
    its, own = tuple_(other.c.posted_on, other.c.id), tuple_(entry.c.date, entry.c.id)
    condition = its > own if later else its <= own
    statement = select(total(other.c.amount_minor).label("total")).select_from(other)
    same_client = other.c.client_id == visible.client_id(entry.c.client_id)
    statement = statement.where(visible.predicate_for(other), same_client, condition)
    return statement.correlate(entry)
