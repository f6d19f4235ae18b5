"""The account history: the ledger, uninvoiced sessions, and payments without a ledger entry."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    case,
    cast,
    func,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
)

from billing.ledger.history import HistoryStatus, status
from billing.ledger.invoices import Standing, total
from models import ACTIVE_STATES, EntryKind, Invoice, LedgerEntry, Payment, PaymentState, Session
from models.literals import constant
from models.row import ID
from planner.json_text import NotNull
from planner.sources import Rows
from resolvers.clients import correlated, is_invoiced, owned
from resolvers.days import days_ago
from resolvers.filters import DateRange, among, within
from resolvers.invoices import standing_sums
from resolvers.money import Amount
from resolvers.visibility import Sight

DEFAULT_DAYS = 30
# The description of a payment without a ledger entry.
UNSETTLED_PAYMENT = literal_column("'Payment'", Text)


class HistoryRow:
    """An entry, with values computed per row if a field needs them."""

    def __init__(
        self, table: Any, sight: Sight, client: Any = None, *, is_whole: bool = False
    ) -> None:
        self.c, self.is_whole = table.c, is_whole
        # Subtracting from the current balance sums few rows, since mostly the newest are requested.
        self.account = client.account if client and sight.lateral else None
        # The status of each kind of entry depends on at most one of these.
        self.void = sight.beside(lambda: is_void(table, sight), always=False, seldom=True)
        self.billed, self.paid = standing_sums(sight, table.c.invoice_id, seldom=True)
        self.refunded = sight.beside(lambda: refunded(table, sight), seldom=True)
        self.moved = sight.beside(lambda: moved(table, sight, later=self.account is not None))
        self.beside = (self.void, self.billed, self.paid, self.refunded, self.moved)

    @property
    def status(self) -> ColumnElement[str]:
        invoice = Standing(self.void["is_void"], self.billed, self.paid)
        of_ledger = status(self.c.kind, self.c.amount_minor, invoice, self.refunded["total"])
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
    sight: Sight,
    date_range: DateRange | None = None,
    kind: list[EntryKind] | None = None,
    *,
    from_start: bool = False,
) -> Rows:
    range_ = DateRange(gte=days_ago(DEFAULT_DAYS)) if date_range is None else date_range  # type: ignore[arg-type]
    found = [
        branch.where(owned(table, client, sight), within(table.c[date], range_)).correlate(
            client.c.id.table
        )
        for branch, table, date in branches(sight)
    ]
    is_whole = from_start and kind is None and range_.lte is None
    entries = union_all(*found).subquery()
    row = HistoryRow(entries, sight, client, is_whole=is_whole)
    return rows(entries, row, among(entries.c.kind, kind))


def by_id(id_: Any, sight: Sight, *around: Any) -> Rows:
    """Return the entry with this id, for any visible client. `around` are the id's own tables."""
    found = [
        branch.where(table.c.id == id_).correlate(*around) for branch, table, _ in branches(sight)
    ]
    entries = union_all(*found).subquery()
    return rows(entries, HistoryRow(entries, sight))


def rows(entries: Any, row: HistoryRow, *where: ColumnElement[bool]) -> Rows:
    """Return entries, newest first."""
    order = (entries.c.date, entries.c.id)
    return Rows(entries, where, order, True, "history", row, row.beside)


def branches(sight: Sight) -> Sequence[tuple[Select[Any], Any, str]]:
    """Return the parts of the history, each with its table and the name of its date column."""
    entry, session, payment = sight(LedgerEntry), sight(Session), sight.opened(Payment)
    ledger = of(entry, sight, entry.c.date, cast(entry.c.kind, Text), entry.c.description,
                entry.c.amount_minor, cast(null(), Text), session=entry.c.session_id,
                invoice=entry.c.invoice_id, payment=entry.c.payment_id)  # fmt: skip
    uninvoiced = of(session, sight, session.c.date, constant(EntryKind.SESSION),
                    session.c.description, constant(0), constant(HistoryStatus.UNINVOICED),
                    session=session.c.id).where(~is_invoiced(session, sight))  # fmt: skip
    unsettled = of(payment, sight, payment.c.created_on, constant(EntryKind.PAYMENT),
                   UNSETTLED_PAYMENT, constant(0), unsettled_status(payment),
                   payment=payment.c.id).where(unsettled_status(payment).is_not(None))  # fmt: skip
    return (
        (ledger, entry, "date"),
        (uninvoiced, session, "date"),
        (unsettled, payment, "created_on"),
    )


def of(
    table: Any,
    sight: Sight,
    date: Any,
    kind: Any,
    description: Any,
    amount: Any,
    status: Any,
    *,
    session: Any = None,
    invoice: Any = None,
    payment: Any = None,
) -> Select[Any]:
    """Select the rows of one table, with the columns common to all parts."""
    ids = {"session_id": session, "invoice_id": invoice, "payment_id": payment}
    return select(
        table.c.practice_id,
        table.c.client_id,
        table.c.id,
        date.label("date"),
        kind.label("kind"),
        description.label("description"),
        amount.label("amount_minor"),
        status.label("status"),
        *(
            (cast(null(), ID) if column is None else column).label(name)
            for name, column in ids.items()
        ),
    ).where(sight.only(table))


def unsettled_status(payment: Any) -> ColumnElement[str]:
    """Return the status of a payment without money moved. Canceled payments have none."""
    active = payment.c.state.in_([constant(state) for state in ACTIVE_STATES])
    failed = payment.c.state == constant(PaymentState.FAILED)
    return case((active, constant(HistoryStatus.PENDING)), (failed, constant(HistoryStatus.FAILED)))


# -- values computed per entry ---------------------------------------------------------------------


def is_void(entry: Any, sight: Sight) -> Select[Any]:
    invoice = sight.counted(Invoice)
    return (
        select(invoice.c.is_void.label("is_void"))
        .where(
            sight.only(invoice),
            invoice.c.id == entry.c.invoice_id,
        )
        .correlate(entry)
    )


def refunded(entry: Any, sight: Sight) -> Select[Any]:
    """Return the amount refunded of the entry's payment."""
    other = sight.counted(LedgerEntry)
    return (
        select(total(other.c.amount_minor).label("total"))
        .select_from(other)
        .where(
            sight.only(other),
            other.c.payment_id == entry.c.payment_id,
            other.c.kind == constant(EntryKind.REFUND),
        )
        .correlate(entry)
    )


def newer(entry: Any) -> ColumnElement[int]:
    """Return the sum of the entries before this one, newest first, over the page's own window."""
    so_far = func.sum(entry.amount_minor).over(order_by=(entry.date.desc(), entry.id.desc()))
    return NotNull(cast(so_far, BigInteger) - entry.amount_minor)


def moved(entry: Any, sight: Sight, *, later: bool) -> Select[Any]:
    """Sum the client's ledger after this entry, or up to and including it.

    The sum does not depend on the page or the date range.
    """
    other = sight.counted(LedgerEntry)
    its, own = tuple_(other.c.date, other.c.id), tuple_(entry.c.date, entry.c.id)
    here = its > own if later else its <= own
    found = select(total(other.c.amount_minor).label("total")).select_from(other)
    theirs = other.c.client_id == sight.client_id(entry.c.client_id)
    found = found.where(sight.only(other), theirs, here)
    return correlated(found, entry.c.id)  # type: ignore[no-any-return]
