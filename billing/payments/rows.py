"""The values of the rows of a payment: by card here, or received outside the portal.

They have no ids but the payment's own, which also is the id of its ledger row.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from billing.ledger.allocation import AmountsDue, Share
from models import EntryKind

Columns = dict[str, Any]
# The description of a payment by card in the ledger. It names no card: everybody with the right to
# the client's documents reads it, and the card may be another person's.
CARD_DESCRIPTION = "Payment by card"


def entry_columns(
    payment_id: str,
    minor: int,
    description: str,
    *,
    paid_on: dt.date,
    posted_on: dt.date,
    now: dt.datetime,
) -> Columns:
    """Return the ledger row of a received amount. Its unique reference prevents a second one."""
    return {
        "id": payment_id,
        "payment_id": payment_id,
        "kind": EntryKind.PAYMENT,
        "description": description,
        "amount_minor": -minor,
        "date": paid_on,
        "posted_on": posted_on,
        "reference": payment_id,
        "created_at": now,
    }


def allocation_columns(
    payment_id: str | None, shares: Iterable[Share], today: dt.date, now: dt.datetime
) -> list[Columns]:
    """Return an allocation for each share. Without a payment the practice allocates credit."""
    return [
        {
            "invoice_id": share.invoice_id,
            "payment_id": payment_id,
            "is_credit": share.is_credit,
            "amount_minor": share.minor,
            "date": today,
            "created_at": now,
        }
        for share in shares
    ]


def claim_columns(payment_id: str, amounts_due: AmountsDue) -> list[Columns]:
    """Return a claim on the amount due of each invoice, and one on credit, for a new payment."""
    of_invoices = {due.invoice_id: due.minor for due in amounts_due.invoices if due.minor > 0}
    credit = min(max(0, amounts_due.credit_minor), sum(of_invoices.values()))
    claims: list[tuple[str | None, int]] = [*of_invoices.items(), (None, credit)]
    return [
        {"payment_id": payment_id, "invoice_id": invoice_id, "amount_minor": minor}
        for invoice_id, minor in claims
        if minor
    ]


def receipt_columns(
    payment_id: str, contact_id: str | None, minor: int, now: dt.datetime, paid_on: dt.date
) -> Columns:
    """Return the receipt of a payment and its payer, which has no number yet."""
    return {
        "payment_id": payment_id,
        "contact_id": contact_id,
        "amount_minor": minor,
        "issued_at": now,
        "issued_on": paid_on,
    }
