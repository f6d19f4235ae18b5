"""Invoices of a client or practice, their lines, and the invoice that another row refers to."""

import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Date, and_, case, literal_column

from billing.ledger.invoices import (
    InvoiceStatus,
    InvoiceTotals,
    billed_amount,
    corrections,
    paid_amount,
)
from models import Allocation, Invoice, InvoiceLine, LedgerEntry
from models.literals import constant
from planner.sources import LateralSubquery, Rows
from resolvers.changed_since import since
from resolvers.clients import account_of, correlated, is_disputed, of_visible_client
from resolvers.days import today
from resolvers.filters import DateRange, among, within_dates
from resolvers.ids import row_id
from resolvers.money import Amount
from resolvers.ordering import OrderDirection
from resolvers.visibility import Visibility


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

    def __init__(self, table: Any, visible: Visibility) -> None:
        self.c, self.visible = table.c, visible
        self.billed, self.paid = totals_subquery(visible, table.c.id)
        self.standing = InvoiceTotals(table.c.is_void, self.billed, self.paid)
        self.account, sums = account_of(visible, table.c.client_id)
        self.corrections = corrections_subquery(visible, table.c.id)
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
        disputed: ColumnElement[bool] = is_disputed(self.visible, self)
        return disputed


def totals_subquery(
    visible: Visibility, invoice_id: Any, *, rarely_read: bool = False
) -> tuple[LateralSubquery, LateralSubquery]:
    """Return the billed and the paid sum of the invoice that a row refers to."""

    def asked() -> Any:
        entry = visible.for_totals(LedgerEntry)
        statement = billed_amount(entry, visible.practice_id, invoice_id).where(
            visible.predicate_for(entry)
        )
        return correlated(statement, invoice_id)

    def put() -> Any:
        allocation = visible.for_totals(Allocation)
        statement = paid_amount(allocation, visible.practice_id, invoice_id).where(
            visible.predicate_for(allocation)
        )
        return correlated(statement, invoice_id)

    return visible.subquery(asked, rarely_read=rarely_read), visible.subquery(
        put, rarely_read=rarely_read
    )


def corrections_subquery(visible: Visibility, invoice_id: Any) -> LateralSubquery:
    def corrected() -> Any:
        entry = visible.for_totals(LedgerEntry)
        statement = corrections(entry, visible.practice_id, invoice_id)
        return correlated(statement.where(visible.predicate_for(entry)), invoice_id)

    return visible.subquery(corrected)


def of_client(
    client: Any,
    visible: Visibility,
    date_range: DateRange | None = None,
    status: list[InvoiceStatus] | None = None,
    past_due: bool | None = None,
    order_by: InvoiceOrder | None = None,
) -> Rows:
    return filter_invoices(
        visible,
        lambda t: of_visible_client(t, client, visible),
        date_range,
        status,
        past_due,
        order_by,
    )


def of_practice(
    _: Any,
    visible: Visibility,
    date_range: DateRange | None = None,
    status: list[InvoiceStatus] | None = None,
    past_due: bool | None = None,
    clinician_id: Any = None,
    order_by: InvoiceOrder | None = None,
    changed_since: Any = None,
) -> Rows:
    def here(table: Any) -> ColumnElement[bool]:
        changed = since(table, changed_since)
        if clinician_id is None:
            return changed
        return and_(changed, table.c.clinician_id == row_id(clinician_id, "cln"))

    return filter_invoices(visible, here, date_range, status, past_due, order_by)


def filter_invoices(
    visible: Visibility,
    of: Callable[[Any], ColumnElement[bool]],
    date_range: DateRange | None,
    status: list[InvoiceStatus] | None,
    past_due: bool | None,
    order_by: InvoiceOrder | None,
) -> Rows:
    table = visible(Invoice)
    row = InvoiceRow(table, visible)
    where = [of(table), within_dates(table.c.issued_on, date_range)]
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


def due_or_never(invoice: Any) -> ColumnElement[Any]:
    """Return what invoices are ordered by, as their index has it."""
    return case((invoice.c.due_on.is_(None), NEVER), else_=invoice.c.due_on)


ORDERS: dict[InvoiceOrderField, Any] = {
    InvoiceOrderField.ISSUED_ON: lambda t: ("invoice-issued", (t.c.issued_on, t.c.serial)),
    InvoiceOrderField.DUE_ON: lambda t: (
        "invoice-due",
        (due_or_never(t), t.c.serial),
    ),
    InvoiceOrderField.NUMBER: lambda t: ("invoice-number", (t.c.serial,)),
}


def rows(visible: Visibility, *where: Any) -> Rows:
    """Return visible invoices."""
    table = visible(Invoice)
    row = InvoiceRow(table, visible)
    return Rows(
        table, [condition(table) for condition in where], row=row, subqueries=row.subqueries
    )


def named_by(row: Any, visible: Visibility) -> Rows:
    """Return the invoice that the row refers to, if there is one and it is visible."""
    return rows(visible, lambda table: table.c.id == row.c.invoice_id)


def lines(invoice: Any, visible: Visibility) -> Rows:
    table = visible(InvoiceLine)
    return Rows(table, [table.c.invoice_id == invoice.c.id], (table.c.position,))
