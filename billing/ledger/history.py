"""The status of an entry of the account history."""

import enum
from typing import Any

from sqlalchemy import ColumnElement, case, func

from billing.ledger.invoices import InvoiceStatus, InvoiceTotals
from billing.payments.status import PaymentStatus
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
    DISPUTED = "DISPUTED"
    CHARGED_BACK = "CHARGED_BACK"


def row_status(
    kind: Any, amount: Any, invoice: InvoiceTotals, refunded: Any, of_disputes: Any
) -> ColumnElement[str]:
    """Return the status of a ledger row.

    Sessions and charges have the status of their invoice, payments that of their disputes, and
    otherwise of their refunds. The status is NULL for rows of a void invoice and for all other
    kinds.
    """
    charge = kind.in_([constant(EntryKind.SESSION), constant(EntryKind.CHARGE)])
    payment = kind == constant(EntryKind.PAYMENT)
    standing = func.nullif(invoice.status, constant(InvoiceStatus.VOID))
    of_refunds = case(
        (refunded >= -amount, constant(HistoryStatus.REFUNDED)), else_=constant(HistoryStatus.PAID)
    )
    # Written once: the database computes each mention of a subquery anew.
    disputed = func.nullif(of_disputes, constant(PaymentStatus.SUCCEEDED))
    return case(
        (charge, standing),
        (payment, func.coalesce(disputed, of_refunds)),
    )
