"""The account history: its entries, and the fields of each."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from models import EntryKind, Invoice, LedgerEntry, Payment, PaymentState
from tests.oracle import money, payments
from tests.oracle.world import World

STATUSES = {
    PaymentState.CREATED: "PENDING",
    PaymentState.CONFIRMING: "PENDING",
    PaymentState.REQUIRES_ACTION: "PENDING",
    PaymentState.PROCESSING: "PENDING",
    PaymentState.FAILED: "FAILED",
}


@dataclass(frozen=True)
class Entry:
    """A ledger entry, a session on no invoice, or a payment that moved nothing."""

    id: str
    client_id: str
    date: dt.date
    day: dt.date
    kind: EntryKind
    description: str
    amount_minor: int
    status: str | None
    posted_on: dt.date | None = None
    session_id: str | None = None
    invoice_id: str | None = None
    payment_id: str | None = None

    @property
    def change(self) -> int:
        return 0 if self.posted_on is None else self.amount_minor

    @property
    def days(self) -> set[dt.date]:
        """Return the days by which the entry is found: its own only if it was posted later."""
        return {self.date, min(self.day, self.date)}


def entries(world: World, client_id: str) -> list[Entry]:
    if not world.opens(client_id):
        return []
    ledger = [of_ledger(world, row) for row in world.where(LedgerEntry, client_id=client_id)]
    sessions = [of_session(session) for session in money.uninvoiced(world, client_id)]
    payments = world.where(Payment, client_id=client_id)
    return [*ledger, *sessions, *(of_payment(one) for one in payments if one.state in STATUSES)]


def of_ledger(world: World, row: Any) -> Entry:
    return Entry(
        row.id, row.client_id, row.posted_on, row.date, row.kind, row.description,
        row.amount_minor, status(world, row), row.posted_on, row.session_id, row.invoice_id,
        row.payment_id,
    )  # fmt: skip


def of_session(session: Any) -> Entry:
    return Entry(
        session.id, session.client_id, session.date, session.date, EntryKind.SESSION,
        session.description, session.fee_minor, "UNINVOICED", session_id=session.id,
    )  # fmt: skip


def of_payment(payment: Any) -> Entry:
    return Entry(
        payment.id, payment.client_id, payment.created_on, payment.created_on, EntryKind.PAYMENT,
        "Payment", -payment.amount_minor, STATUSES[payment.state], payment_id=payment.id,
    )  # fmt: skip


def status(world: World, row: Any) -> str | None:
    """Return a charge's status from its invoice, and a payment's from its disputes and refunds.

    Rows of a void invoice have none.
    """
    if row.kind in (EntryKind.SESSION, EntryKind.CHARGE):
        invoice = world.by_id(Invoice, row.invoice_id)
        return None if invoice.is_void else money.status(world, invoice)
    if row.kind is not EntryKind.PAYMENT:
        return None
    decided = payments.status(world, world.by_id(Payment, row.payment_id))
    if decided in ("DISPUTED", "CHARGED_BACK"):
        return decided
    refunds = world.where(LedgerEntry, payment_id=row.payment_id, kind=EntryKind.REFUND)
    return "REFUNDED" if money.summed(refunds) == -row.amount_minor else "PAID"


def balance_after(world: World, entry: Entry) -> int:
    """Return the sum of the ledger up to the entry, in the order of posting days and ids."""
    ledger = world.where(LedgerEntry, client_id=entry.client_id)
    return money.summed(row for row in ledger if (row.posted_on, row.id) <= (entry.date, entry.id))
