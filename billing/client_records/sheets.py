"""The CSV files of a record, which people read in a spreadsheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, and_, func, select

from billing.client_records.rows import RecordSubject
from billing.csv_text import csv_lines
from billing.ledger.invoices import billed_amount, paid_amount
from billing.money import currency_digits
from models import Allocation, Invoice, InvoiceLine, LedgerEntry, Payment, Receipt, Session

# The endings of columns that hold numbers with decimals.
MINOR, HUNDREDTHS = "_minor", "_hundredths"


@dataclass(frozen=True)
class Sheet:
    """A CSV file. A column of amounts ends with `_minor`, and its heading does not."""

    name: str
    columns: Sequence[Any]
    ordered: Sequence[Any]
    source: Any = None

    def statement(self, subject: RecordSubject) -> Select[Any]:
        of_client = self.ordered[0].class_
        mine = (
            of_client.practice_id == subject.practice_id,
            of_client.client_id == subject.client_id,
        )
        selected = select(*self.columns)
        if self.source is not None:
            selected = selected.select_from(self.source)
        return selected.where(*mine).order_by(*self.ordered)

    @property
    def keys(self) -> list[str]:
        return [column.name for column in self.columns]

    def heading(self) -> str:
        return csv_lines([[key.removesuffix(MINOR).removesuffix(HUNDREDTHS) for key in self.keys]])

    def text(self, rows: Sequence[Any], currency: str) -> str:
        digits = currency_digits(currency)
        return csv_lines(
            [cell(key, value, digits) for key, value in zip(self.keys, row, strict=True)]
            for row in rows
        )


def cell(key: str, value: Any, digits: int) -> str:
    if value is None:
        return ""
    if key.endswith(MINOR):
        return str(Decimal(value).scaleb(-digits))
    return str(Decimal(value).scaleb(-2)) if key.endswith(HUNDREDTHS) else str(value)


def sum_of(statement: Select[Any], name: str) -> Any:
    return statement.scalar_subquery().label(name)


BALANCE = func.sum(LedgerEntry.amount_minor).over(
    order_by=(LedgerEntry.posted_on, LedgerEntry.id), rows=(None, 0)
)
BILLED = billed_amount(LedgerEntry.__table__, Invoice.practice_id, Invoice.id)
PAID = paid_amount(Allocation.__table__, Invoice.practice_id, Invoice.id)
LINE_OF = and_(InvoiceLine.practice_id == Invoice.practice_id, InvoiceLine.invoice_id == Invoice.id)
RECEIPT_OF = and_(Receipt.practice_id == Payment.practice_id, Receipt.payment_id == Payment.id)

SHEETS: Sequence[Sheet] = (
    Sheet(
        "sessions",
        (Session.date, Session.description, Session.service_code, Session.fee_minor),
        (Session.date, Session.id),
    ),
    Sheet(
        "invoices",
        (
            Invoice.number,
            Invoice.issued_on,
            Invoice.due_on,
            Invoice.voided_on,
            Invoice.total_minor,
            sum_of(BILLED, "billed_minor"),
            sum_of(PAID, "paid_minor"),
        ),
        (Invoice.issued_on, Invoice.serial),
    ),
    Sheet(
        "invoice-lines",
        (
            Invoice.number,
            InvoiceLine.date,
            InvoiceLine.description,
            InvoiceLine.service_code,
            InvoiceLine.quantity_hundredths,
            InvoiceLine.unit_price_minor,
            InvoiceLine.amount_minor,
        ),
        (Invoice.issued_on, Invoice.serial, InvoiceLine.position),
        Invoice.__table__.join(InvoiceLine.__table__, LINE_OF),
    ),
    Sheet(
        "payments",
        (
            Payment.created_on,
            Payment.method,
            Payment.state,
            Payment.amount_minor,
            Receipt.number.label("receipt"),
        ),
        (Payment.created_on, Payment.id),
        Payment.__table__.outerjoin(Receipt.__table__, RECEIPT_OF),
    ),
    Sheet(
        "account-history",
        (
            LedgerEntry.posted_on,
            LedgerEntry.date,
            LedgerEntry.kind,
            LedgerEntry.description,
            LedgerEntry.amount_minor,
            BALANCE.label("balance_after_minor"),
        ),
        (LedgerEntry.posted_on, LedgerEntry.id),
    ),
)
