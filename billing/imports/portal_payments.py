"""The portal's own payments, which come back in the exports of another system.

They are matched and compared, and never entered: otherwise each payment by card would be counted
twice.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.client_ledger import ClientLedger
from billing.entry.outside_payments import refunds_of
from billing.imports.faults import Complaint, Faults
from billing.imports.layouts import BY_NAME
from billing.imports.references import chunks
from billing.imports.staging import StagedRow, Staging
from models import Payment, PaymentMethodKind, PaymentState, Receipt
from models.ids import UUID

PREFIX = "pmt_"
NAMED = """SELECT payments.*, known.row_id AS client_row_id FROM payments
LEFT JOIN known ON known.kind = 'client' AND known.external_id = payments.client_id
WHERE portal_payment IS NOT NULL OR stripe_id IS NOT NULL ORDER BY payments.line"""
UNKNOWN = "names no payment of this portal"
MAYBE_OURS = Complaint(
    "may be a payment through the portal: the client paid the same amount by card that day",
    "name that payment in portal_payment, or import with --cards-are-not-ours",
    "MAYBE_OURS",
)
NOT_REFUNDED = Complaint(
    "is no refund of the portal's payment",
    "refund the payment through the portal, or leave the row out",
    "REFUND_DIFFERS",
)


async def note_portal_payments(
    conn: AsyncConnection, staging: Staging, practice_id: str, faults: Faults
) -> None:
    """Stage the portal's payment of each record that names one. Refuse records that differ."""
    rows = list(staging.select(NAMED))
    by_name: dict[str, Any] = {}
    for column, names in (
        (Payment.id, [one[len(PREFIX) :] for one in named(rows, "portal_payment") if is_id(one)]),
        (Receipt.number, [one for one in named(rows, "portal_payment") if not is_id(one)]),
        (Payment.stripe_id, named(rows, "stripe_id")),
    ):
        for some in chunks(names):
            found = await conn.execute(payments_named(practice_id, column, some))
            by_name |= {one.name: one for one in found}
    path = staging.path(BY_NAME["payments"])
    for row in rows:
        name = (row["portal_payment"] or "").removeprefix(PREFIX)
        payment = by_name.get(name) or by_name.get(row["stripe_id"])
        if payment is not None:
            staging.execute(
                "UPDATE payments SET portal_row_id = ? WHERE line = ?", payment.id, row["line"]
            )
        for name_, complaint in differences(row, payment):
            faults.complain(path, row["line"], name_, complaint)


def named(rows: Sequence[StagedRow], column: str) -> list[str]:
    return sorted({row[column] for row in rows if row[column]})


def is_id(name: str) -> bool:
    return name.startswith(PREFIX) and UUID.fullmatch(name.removeprefix(PREFIX)) is not None


def payments_named(practice_id: str, column: Any, names: Sequence[str]) -> Any:
    columns = Payment.id, Payment.client_id, Payment.amount_minor, Payment.state
    statement = select(column.label("name"), *columns)
    if column is Receipt.number:
        same = and_(Receipt.practice_id == Payment.practice_id, Receipt.payment_id == Payment.id)
        statement = statement.join(Receipt, same)
    return statement.where(Payment.practice_id == practice_id, column.in_(names))


def differences(row: StagedRow, payment: Any) -> list[tuple[str, Complaint]]:
    """Return the differences between a record and the portal's payment."""
    if payment is None:
        if row["portal_payment"] is None:
            return []
        remedy = "give its id pmt_… or its receipt's number"
        return [("portal_payment", Complaint(UNKNOWN, remedy, "NO_SUCH_RECORD"))]
    found = []
    if payment.client_id != row["client_row_id"]:
        found.append(("client_id", "is not the client of the portal's payment"))
    if payment.amount_minor != row["amount"]:
        found.append(("amount", "is not the amount of the portal's payment"))
    if payment.state != PaymentState.SUCCEEDED:
        found.append(("id", "is a payment that did not succeed in the portal"))
    remedy = "correct the record in the other system"
    return [(column, Complaint(wrong, remedy, "PAYMENT_DIFFERS")) for column, wrong in found]


def is_of_portal(ledger: ClientLedger, payment_id: str) -> bool:
    payment = ledger.payments.get(payment_id)
    return payment is not None and payment["stripe_id"] is not None


def may_be_ours(ledger: ClientLedger, row: StagedRow) -> bool:
    """Return whether the client paid the same amount by card through the portal on that day."""
    return row["method"] == PaymentMethodKind.CARD and any(
        is_of_portal(ledger, payment["id"])
        and payment["state"] == PaymentState.SUCCEEDED
        and payment["amount_minor"] == row["amount"]
        and payment["created_on"].isoformat() == row["paid_on"]
        for payment in ledger.payments.values()
    )


def is_refunded(ledger: ClientLedger, payment_id: str, minor: int) -> bool:
    """Return whether the portal has given back that much of its payment."""
    refunded: int = sum(one["amount_minor"] for one in refunds_of(ledger, payment_id))
    return refunded >= minor
