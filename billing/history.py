"""The status beside an entry of the account history."""

import enum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func

from billing.invoices import InvoiceStatus, Standing
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


def status(kind: Any, amount: Any, invoice: Standing, refunded: Any) -> ColumnElement[str]:
    """A ledger row's: a session's and a charge's follows its invoice, a payment's its refunds.

    NULL for a void invoice's rows and for the kinds that have none.
    """
    charge = kind.in_([constant(EntryKind.SESSION), constant(EntryKind.CHARGE)])
    payment = kind == constant(EntryKind.PAYMENT)
    standing = func.nullif(invoice.status, constant(InvoiceStatus.VOID))
    return case(
        (charge, standing),
        (and_(payment, refunded >= -amount), constant(HistoryStatus.REFUNDED)),
        (payment, constant(HistoryStatus.PAID)),
    )
