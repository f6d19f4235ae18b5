"""The status of an entry of the account history."""

import enum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func

from billing.ledger.invoices import InvoiceStatus, InvoiceTotals
from models import EntryKind
from models.literals import constant


class HistoryStatus(enum.StrEnum):
    UNINVOICED = "UNINVOICED"
    UNPAID = "UNPAID"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PAID = "PAID"
    PENDING = "PENDING"
    FAILED = "FAILED"
    REFUNDED = "REFUNDED"


def row_status(kind: Any, amount: Any, invoice: InvoiceTotals, refunded: Any) -> ColumnElement[str]:
    """Return the status of a ledger row.

    Sessions and charges have the status of their invoice, payments that of their refunds. The
    status is NULL for rows of a void invoice and for all other kinds.
    """
    charge = kind.in_([constant(EntryKind.SESSION), constant(EntryKind.CHARGE)])
    payment = kind == constant(EntryKind.PAYMENT)
    standing = func.nullif(invoice.status, constant(InvoiceStatus.VOID))
    return case(
        (charge, standing),
        (and_(payment, refunded >= -amount), constant(HistoryStatus.REFUNDED)),
        (payment, constant(HistoryStatus.PAID)),
    )
