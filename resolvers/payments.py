"""Payments, their allocations to invoices, and their receipts."""

from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    SQLColumnExpression,
    Text,
    and_,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
    type_coerce,
)

from billing.ledger.invoices import total
from billing.payments.status import (
    PaymentStatus,
    decline_message,
    disputed_amount,
    payment_status,
    states,
    status_of_disputes,
)
from models import (
    ACTIVE_STATES,
    Allocation,
    Client,
    Dispute,
    EntryKind,
    Invoice,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PaymentMethodKind,
    PaymentState,
    Receipt,
)
from models.literals import constant
from models.row import ID
from planner.deferred import MaybeDeferred
from planner.outcome import OutcomeRow
from planner.sources import Rows
from planner.tables import Condition, RowOf, TableAlias
from resolvers.changed_since import since
from resolvers.clients import of_visible_client
from resolvers.filters import DateRange, among, within_dates
from resolvers.invoices import InvoiceRow
from resolvers.money import Amount
from resolvers.payment_methods import payer
from resolvers.visibility import AnySelect, Visibility, is_held


class NamesPayment(Protocol):
    """The columns of a row that refers to a payment."""

    payment_id: SQLColumnExpression[Any]


class PaymentRow:
    """A payment, with values computed per row if a field needs them."""

    def __init__(self, table: TableAlias[Payment], visible: Visibility) -> None:
        self.c, self.table, self.visible = table.c, table, visible
        self.refunds = visible.subquery(lambda: refunded_amount(visible, table.c.id, table))
        self.disputes = visible.subquery(lambda: disputes(visible, table.c.id, table))
        self.subqueries = (self.refunds, self.disputes)

    @property
    def status(self) -> ColumnElement[str]:
        return payment_status(self.c.state, self.disputes["status"])

    @property
    def payer(self) -> ColumnElement[str | None]:
        """Return who pays. Of other methods the practice has not recorded it."""
        methods = [
            constant(method) for method in (PaymentMethodKind.CARD, PaymentMethodKind.CREDIT)
        ]
        return case((self.c.method.in_(methods), payer(self.visible, self.table)))


class CardRow:
    """The card of a payment by card."""

    def __init__(self, payment: PaymentRow) -> None:
        self.brand = type_coerce(payment.c.card_brand, Text)
        self.last4 = type_coerce(payment.c.card_last4, Text)


def has_card(payment: PaymentRow) -> ColumnElement[bool]:
    """Return whether there was a card that the viewer knows: by paying with it, or on file."""
    known = payment.c.card_brand.is_not(None), payment.c.card_last4.is_not(None)
    visible = payment.visible
    if visible.kind.is_program:
        return and_(*known)
    card = visible(PaymentMethod)
    is_seen = (
        exists()
        .where(visible.predicate_for(card), card.c.id == payment.c.payment_method_id)
        .correlate(payment.table)
    )
    return and_(*known, or_(is_held(visible, payment.table), is_seen))


def processor_fee(payment: PaymentRow) -> Amount:
    return Amount(type_coerce(payment.c.processor_fee_minor, BigInteger))


def has_processor_fee(payment: PaymentRow) -> ColumnElement[bool]:
    return payment.c.processor_fee_minor.is_not(None)


class FailureRow:
    """The reason for the failure of a payment."""

    def __init__(self, payment: PaymentRow) -> None:
        self.reason = type_coerce(payment.c.failure_reason, Text)
        self.message = decline_message(payment.c.failure_reason)


def has_failed(payment: PaymentRow) -> ColumnElement[bool]:
    return and_(payment.c.state == constant(PaymentState.FAILED))


def rows(visible: Visibility, *where: Condition[Payment]) -> Rows:
    """Return visible payments, newest first."""
    table = visible(Payment)
    row = PaymentRow(table, visible)
    conditions = [condition(table) for condition in where]
    order = (table.c.created_on, table.c.id)
    return Rows(table, conditions, order, True, "payment", row, row.subqueries)


def of_client(
    client: RowOf[Client],
    visible: Visibility,
    date_range: DateRange | None = None,
    status: list[PaymentStatus] | None = None,
) -> Rows:
    return filter_payments(
        visible,
        date_range,
        status,
        lambda table: of_visible_client(table.c.client_id, client, visible),
    )


def of_practice(
    _: object,
    visible: Visibility,
    date_range: DateRange | None = None,
    status: list[PaymentStatus] | None = None,
    changed_since: MaybeDeferred[str] | None = None,
) -> Rows:
    return filter_payments(
        visible, date_range, status, lambda table: since(table.c.version, changed_since)
    )


def filter_payments(
    visible: Visibility,
    date_range: DateRange | None,
    statuses: list[PaymentStatus] | None,
    of: Condition[Payment],
) -> Rows:
    found = rows(visible, of, lambda table: within_dates(table.c.created_on, date_range))
    if statuses is None:
        return found
    # The first condition has an index. PostgreSQL expects that the second one, within coalesce,
    # leaves half of the rows; otherwise it would expect so few that it sorts all payments.
    payment = found.row
    has_status = func.coalesce(among(payment.status, statuses), false())
    status = [among(payment.c.state, statuses, states), has_status]
    return replace(found, where=[*found.where, *status])


def active(client: RowOf[Client], visible: Visibility) -> Rows:
    """Return the payment in progress. A constraint of the database allows at most one."""
    states = [constant(state) for state in ACTIVE_STATES]
    return rows(
        visible,
        lambda table: of_visible_client(table.c.client_id, client, visible),
        lambda table: table.c.state.in_(states),
    )


def named_by(row: RowOf[NamesPayment], visible: Visibility) -> Rows:
    """Return the payment that the row refers to."""
    return rows(visible, lambda table: table.c.id == row.c.payment_id)


def of_outcome(outcome: OutcomeRow, visible: Visibility) -> Rows:
    """Return the payment that a mutation was about."""
    return rows(visible, lambda table: table.c.id == outcome.value("payment_id", ID))


def of_invoice(invoice: InvoiceRow, visible: Visibility) -> Rows:
    """Return payments with an allocation to the invoice."""

    def paid_it(table: TableAlias[Payment]) -> ColumnElement[bool]:
        allocation = visible.for_totals(Allocation)
        condition = and_(
            allocation.c.invoice_id == invoice.c.id,
            allocation.c.payment_id == table.c.id,
        )
        return (
            exists()
            .where(visible.predicate_for(allocation), condition)
            .correlate(invoice.table, table)
        )

    return rows(visible, paid_it)


def refunded_amount(
    visible: Visibility, payment_id: SQLColumnExpression[str | None], table: FromClause
) -> AnySelect:
    """Select the amount refunded of the payment that a table's column refers to."""
    entry = visible.for_totals(LedgerEntry)
    return (
        select(total(entry.c.amount_minor).label("total"))
        .select_from(entry)
        .where(
            visible.predicate_for(entry),
            entry.c.payment_id == payment_id,
            entry.c.kind == constant(EntryKind.REFUND),
        )
        .correlate(table)
    )


def disputes(
    visible: Visibility, payment_id: SQLColumnExpression[str | None], table: FromClause
) -> AnySelect:
    """Select the status and the amount by the disputes of the payment that a table's column
    refers to.
    """
    dispute = visible.for_totals(Dispute)
    return (
        select(status_of_disputes(dispute).label("status"), disputed_amount(dispute).label("total"))
        .select_from(dispute)
        .where(visible.predicate_for(dispute), dispute.c.payment_id == payment_id)
        .correlate(table)
    )


class AllocatedAmount:
    """The columns of the amounts that a payment has allocated to each invoice."""

    invoice_id: SQLColumnExpression[str]
    serial: SQLColumnExpression[int]
    amount_minor: SQLColumnExpression[int]


def allocations(payment: PaymentRow, visible: Visibility) -> Rows:
    """Return the allocations to visible invoices, net of amounts taken back; oldest first."""
    allocation, invoice = visible.for_totals(Allocation), visible(Invoice)
    put = total(allocation.c.amount_minor)
    sums = (
        select(
            invoice.c.id.label("invoice_id"),
            invoice.c.serial,
            put.label("amount_minor"),
        )
        .join_from(allocation, invoice, invoice.c.id == allocation.c.invoice_id)
        .where(
            visible.predicate_for(allocation),
            visible.predicate_for(invoice),
            allocation.c.payment_id == payment.c.id,
        )
        .group_by(invoice.c.id, invoice.c.serial)
        .having(func.sum(allocation.c.amount_minor) != constant(0))
        .correlate(payment.table)
        .subquery()
    )
    return Rows(sums, [], (sums.c.serial,))


# -- receipts --------------------------------------------------------------------------------------


def receipt_rows(visible: Visibility, *where: Condition[Receipt]) -> Rows:
    table = visible(Receipt)
    conditions = [condition(table) for condition in where]
    return Rows(table, conditions, (table.c.issued_on, table.c.serial), True, "receipt")


def receipts(
    client: RowOf[Client], visible: Visibility, date_range: DateRange | None = None
) -> Rows:
    return receipt_rows(
        visible,
        lambda table: of_visible_client(table.c.client_id, client, visible),
        lambda table: within_dates(table.c.issued_on, date_range),
    )


def receipts_of_practice(
    _: object,
    visible: Visibility,
    date_range: DateRange | None = None,
    changed_since: MaybeDeferred[str] | None = None,
) -> Rows:
    """Return all visible receipts. A receipt has the version of its payment."""

    def has_changed(table: TableAlias[Receipt]) -> ColumnElement[bool]:
        if changed_since is None:
            return true()
        payment = visible(Payment)
        changed = select(payment.c.id).where(
            visible.predicate_for(payment), since(payment.c.version, changed_since)
        )
        return table.c.payment_id.in_(changed)

    return receipt_rows(
        visible, lambda table: within_dates(table.c.issued_on, date_range), has_changed
    )


def receipt_of(payment: RowOf[Payment], visible: Visibility) -> Rows:
    return receipt_rows(visible, lambda table: table.c.payment_id == payment.c.id)
