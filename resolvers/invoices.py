"""Invoices of a client or practice, their lines, and the invoice that another row refers to."""

import datetime as dt
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Date,
    FromClause,
    SQLColumnExpression,
    and_,
    case,
    literal_column,
)

from billing.ledger.invoices import (
    InvoiceStatus,
    InvoiceTotals,
    billed_amount,
    corrections,
    paid_amount,
)
from models import Allocation, Client, Invoice, InvoiceLine, LedgerEntry
from models.literals import constant
from models.row import ID
from planner.deferred import MaybeDeferred
from planner.outcome import OutcomeRow
from planner.sources import LateralSubquery, Rows
from planner.tables import Condition, RowOf, TableAlias
from resolvers.changed_since import since
from resolvers.clients import account_of, is_disputed, of_visible_client
from resolvers.days import today
from resolvers.filters import DateRange, among, within_dates
from resolvers.ids import row_id
from resolvers.money import Amount
from resolvers.ordering import OrderDirection
from resolvers.visibility import AnySelect, Visibility


class NamesInvoice(Protocol):
    """The columns of a row that refers to an invoice."""

    invoice_id: SQLColumnExpression[Any]


class InvoiceOrderField(enum.StrEnum):
    ISSUED_ON = "ISSUED_ON"
    DUE_ON = "DUE_ON"
    NUMBER = "NUMBER"


@dataclass
class InvoiceOrder:
    field: InvoiceOrderField = InvoiceOrderField.ISSUED_ON
    direction: OrderDirection = OrderDirection.DESC


class InvoiceRow:
    """An invoice, with values computed per row if a field needs them."""

    def __init__(self, table: TableAlias[Invoice], visible: Visibility) -> None:
        self.c, self.table, self.visible = table.c, table, visible
        self.billed, self.paid = totals_subquery(visible, table.c.id, table)
        self.standing = InvoiceTotals(table.c.is_void, self.billed, self.paid)
        self.account, sums = account_of(visible, table.c.client_id, table)
        self.corrections = corrections_subquery(visible, table)
        self.subqueries = (self.billed, self.paid, self.corrections, *sums)

    @property
    def voided(self) -> Amount:
        return Amount(case((self.c.is_void, self.c.total_minor), else_=constant(0)))

    @property
    def is_past_due(self) -> ColumnElement[bool]:
        return self.standing.past_due(self.c.due_on, today())

    @property
    def payable(self) -> Amount:
        return Amount(self.account.payable_of(self.standing.due, self.is_disputed))

    @property
    def is_disputed(self) -> ColumnElement[bool]:
        return is_disputed(self.visible, self.table)


def totals_subquery(
    visible: Visibility,
    invoice_id: SQLColumnExpression[str | None],
    table: FromClause,
    *,
    rarely_read: bool = False,
) -> tuple[LateralSubquery, LateralSubquery]:
    """Return the billed and the paid sum of the invoice that a table's column refers to."""

    def billed() -> AnySelect:
        entry = visible.for_totals(LedgerEntry)
        statement = billed_amount(entry, visible.practice_id, invoice_id).where(
            visible.predicate_for(entry)
        )
        return statement.correlate(table)

    def paid() -> AnySelect:
        allocation = visible.for_totals(Allocation)
        statement = paid_amount(allocation, visible.practice_id, invoice_id).where(
            visible.predicate_for(allocation)
        )
        return statement.correlate(table)

    return (
        visible.subquery(billed, rarely_read=rarely_read),
        visible.subquery(paid, rarely_read=rarely_read),
    )


def corrections_subquery(visible: Visibility, invoice: TableAlias[Invoice]) -> LateralSubquery:
    def corrected() -> AnySelect:
        entry = visible.for_totals(LedgerEntry)
        statement = corrections(entry, visible.practice_id, invoice.c.id)
        return statement.where(visible.predicate_for(entry)).correlate(invoice)

    return visible.subquery(corrected)


def of_client(
    client: RowOf[Client],
    visible: Visibility,
    date_range: DateRange | None = None,
    status: list[InvoiceStatus] | None = None,
    past_due: bool | None = None,
    order_by: InvoiceOrder | None = None,
) -> Rows:
    return filter_invoices(
        visible,
        lambda table: of_visible_client(table.c.client_id, client, visible),
        date_range,
        status,
        past_due,
        order_by,
    )


def of_practice(
    _: object,
    visible: Visibility,
    date_range: DateRange | None = None,
    status: list[InvoiceStatus] | None = None,
    past_due: bool | None = None,
    clinician_id: MaybeDeferred[str] | None = None,
    order_by: InvoiceOrder | None = None,
    changed_since: MaybeDeferred[str] | None = None,
) -> Rows:
    def here(table: TableAlias[Invoice]) -> ColumnElement[bool]:
        changed = since(table.c.version, changed_since)
        if clinician_id is None:
            return changed
        return and_(changed, table.c.clinician_id == row_id(clinician_id, "cln"))

    return filter_invoices(visible, here, date_range, status, past_due, order_by)


def filter_invoices(
    visible: Visibility,
    of: Condition[Invoice],
    date_range: DateRange | None,
    status: list[InvoiceStatus] | None,
    past_due: bool | None,
    order_by: InvoiceOrder | None,
) -> Rows:
    table = visible(Invoice)
    row = InvoiceRow(table, visible)
    where: list[SQLColumnExpression[bool]] = [
        of(table),
        within_dates(table.c.issued_on, date_range),
    ]
    if status is not None:
        where.append(among(row.standing.status, status))
    if past_due is not None:
        where.append(row.is_past_due if past_due else ~row.is_past_due)
    order_by = order_by or InvoiceOrder()
    name, keys = ORDERS[order_by.field](table)
    descending = order_by.direction is OrderDirection.DESC
    return Rows(table, where, keys, descending, name, row, row.subqueries)


# Sorts invoices without a due date after all others.
NEVER: ColumnElement[dt.date] = literal_column("'9999-12-31'", Date)


def due_or_never(invoice: TableAlias[Invoice]) -> ColumnElement[dt.date]:
    """Return what invoices are ordered by, as their index has it."""
    return case((invoice.c.due_on.is_(None), NEVER), else_=invoice.c.due_on)


# The name of an order and its keys.
SortOrder = Callable[[TableAlias[Invoice]], tuple[str, Sequence[SQLColumnExpression[Any]]]]
ORDERS: dict[InvoiceOrderField, SortOrder] = {
    InvoiceOrderField.ISSUED_ON: lambda t: ("invoice-issued", (t.c.issued_on, t.c.serial)),
    InvoiceOrderField.DUE_ON: lambda t: (
        "invoice-due",
        (due_or_never(t), t.c.serial),
    ),
    InvoiceOrderField.NUMBER: lambda t: ("invoice-number", (t.c.serial,)),
}


def rows(visible: Visibility, *where: Condition[Invoice]) -> Rows:
    """Return visible invoices."""
    table = visible(Invoice)
    row = InvoiceRow(table, visible)
    return Rows(
        table, [condition(table) for condition in where], row=row, subqueries=row.subqueries
    )


def named_by(row: RowOf[NamesInvoice], visible: Visibility) -> Rows:
    """Return the invoice that the row refers to, if there is one and it is visible."""
    return rows(visible, lambda table: table.c.id == row.c.invoice_id)


def of_outcome(outcome: OutcomeRow, visible: Visibility) -> Rows:
    """Return the invoice that a mutation was about."""
    return rows(visible, lambda table: table.c.id == outcome.value("invoice_id", ID))


def lines(invoice: RowOf[Invoice], visible: Visibility) -> Rows:
    table = visible(InvoiceLine)
    return Rows(table, [table.c.invoice_id == invoice.c.id], (table.c.position,))
