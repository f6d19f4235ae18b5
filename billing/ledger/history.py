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
    DISPUTED = "DISPUTED"
    CHARGED_BACK = "CHARGED_BACK"


# The statuses of payments whose money a bank holds or has given back.
OF_DISPUTES = (HistoryStatus.DISPUTED, HistoryStatus.CHARGED_BACK)


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
    return case(
        (charge, standing),
        (
            and_(payment, of_disputes.in_([constant(status) for status in OF_DISPUTES])),
            of_disputes,
        ),
        (and_(payment, refunded >= -amount), constant(HistoryStatus.REFUNDED)),
        (payment, constant(HistoryStatus.PAID)),
    )
