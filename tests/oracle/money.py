"""Amounts paid, due and owed, by the definitions of the practice's bookkeeping."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from models import (
    Allocation,
    Dispute,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    PaymentState,
    Session,
)
from tests.oracle.world import World

DIGITS = {"USD": 2, "JPY": 0, "KWD": 3}
STRIPE_DECIMALS = {"USD": 2, "JPY": 0, "KWD": 3}
SMALLEST_CHARGE = {"USD": 50, "JPY": 50, "KWD": 10}
CORRECTIONS = (EntryKind.WRITE_OFF, EntryKind.ADJUSTMENT)
AT_REST = (PaymentState.SUCCEEDED, PaymentState.FAILED, PaymentState.CANCELED)


def summed(rows: Iterable[Any]) -> int:
    return sum(row.amount_minor for row in rows)


# -- an invoice ------------------------------------------------------------------------------------


def paid(world: World, invoice: Any) -> int:
    """Return the amount allocated to the invoice, less the amount taken back."""
    return summed(world.where(Allocation, invoice_id=invoice.id))


def due(world: World, invoice: Any) -> int:
    """Return the total with corrections, less the amount paid; zero for a void invoice."""
    if invoice.is_void:
        return 0
    entries = world.where(LedgerEntry, invoice_id=invoice.id)
    corrections = summed(entry for entry in entries if entry.kind in CORRECTIONS)
    return int(invoice.total_minor + corrections - paid(world, invoice))


def status(world: World, invoice: Any) -> str:
    if invoice.is_void:
        return "VOID"
    if due(world, invoice) == 0:
        return "PAID"
    return "PARTIALLY_PAID" if paid(world, invoice) else "UNPAID"


def is_past_due(world: World, invoice: Any) -> bool:
    late = invoice.due_on is not None and invoice.due_on < world.today
    return late and due(world, invoice) != 0


# -- a client --------------------------------------------------------------------------------------


def all_due(world: World, client_id: str) -> int:
    return sum(due(world, invoice) for invoice in world.where(Invoice, client_id=client_id))


def is_disputed(world: World, invoice: Any) -> bool:
    """Return whether a bank that has yet to decide holds money that paid the invoice."""
    puts = world.where(Allocation, invoice_id=invoice.id)
    return any(
        summed(put for put in puts if put.dispute_id == dispute.id) < 0
        for dispute in world.where(Dispute, client_id=invoice.client_id, state="OPEN")
    )


def payable_invoices(world: World, client_id: str) -> list[Any]:
    """Return the invoices that are due and not disputed, the oldest first."""
    found = [
        one
        for one in world.where(Invoice, client_id=client_id)
        if due(world, one) and not is_disputed(world, one)
    ]
    return sorted(found, key=lambda one: (one.issued_on, one.serial))


def may_be_paid(world: World, client_id: str) -> int:
    """Return the amount due, without disputed invoices."""
    return sum(due(world, invoice) for invoice in payable_invoices(world, client_id))


LAST_DAY = dt.date.max


def entered(world: World, client_id: str, day: dt.date, *kinds: EntryKind) -> int:
    """Return the sum of a client's ledger rows of some kinds, posted up to a day."""
    rows = world.where(LedgerEntry, client_id=client_id)
    return summed(row for row in rows if row.kind in kinds and row.posted_on <= day)


def received(world: World, client_id: str, day: dt.date = LAST_DAY) -> int:
    """Return payments and other credit, before refunds and disputes."""
    return -entered(world, client_id, day, EntryKind.PAYMENT, EntryKind.CREDIT)


def refunded(world: World, client_id: str, day: dt.date = LAST_DAY) -> int:
    return entered(world, client_id, day, EntryKind.REFUND)


def charged_back(world: World, client_id: str, day: dt.date = LAST_DAY) -> int:
    """Return the amount that banks hold or have kept."""
    return entered(world, client_id, day, EntryKind.DISPUTE)


def credit(world: World, client_id: str, day: dt.date = LAST_DAY) -> int:
    """Return the amount received that was neither given back nor allocated."""
    put = summed(row for row in world.where(Allocation, client_id=client_id) if row.date <= day)
    gone = refunded(world, client_id, day) + charged_back(world, client_id, day)
    return received(world, client_id, day) - gone - put


def balance(world: World, client_id: str) -> int:
    return all_due(world, client_id) - credit(world, client_id)


def payable(world: World, client_id: str, asked: int) -> int:
    """Return the amount to charge, after unused credit."""
    return max(0, asked - max(0, credit(world, client_id)))


@dataclass(frozen=True)
class Term:
    kind: str
    amount: int


def terms(world: World, client_id: str, day: dt.date = LAST_DAY) -> list[Term]:
    """Return the terms of the balance at the end of a day."""
    issued = [one for one in world.where(Invoice, client_id=client_id) if one.issued_on <= day]
    valid = [one for one in issued if not (one.is_void and one.voided_on <= day)]
    unused = credit(world, client_id, day)
    return [
        Term("INVOICED", sum(invoice.total_minor for invoice in valid)),
        Term("PAID", unused - received(world, client_id, day)),
        Term("UNALLOCATED_CREDIT", -unused),
        Term("REFUNDED", refunded(world, client_id, day)),
        Term("DISPUTED", charged_back(world, client_id, day)),
        Term("WRITTEN_OFF", entered(world, client_id, day, EntryKind.WRITE_OFF)),
        Term("ADJUSTED", entered(world, client_id, day, EntryKind.ADJUSTMENT)),
    ]


def is_invoiced(world: World, session_id: str) -> bool:
    """Return whether a line of a valid invoice is for the session."""
    lines = world.where(InvoiceLine, session_id=session_id)
    return any(not world.by_id(Invoice, line.invoice_id).is_void for line in lines)


def uninvoiced(world: World, client_id: str) -> list[Any]:
    """Return the sessions that are on no valid invoice."""
    sessions = world.where(Session, client_id=client_id)
    return [session for session in sessions if not is_invoiced(world, session.id)]


# -- permissions -----------------------------------------------------------------------------------


def why_no_card(world: World, client_id: str) -> list[str]:
    reasons = {
        "ONLINE_PAYMENTS_OFF": world.practice.stripe_account is None,
        "NO_RIGHT_TO_PAY": not world.may_pay(client_id),
    }
    return [reason for reason, applies in reasons.items() if applies]


def why_not_pay(world: World, client_id: str) -> list[str]:
    """Return the reasons against paying the balance, the first to be given first."""
    owed = may_be_paid(world, client_id)
    asked = payable(world, client_id, owed)
    payments = world.where(Payment, client_id=client_id)
    reasons = {
        "PAYMENT_IN_PROGRESS": any(payment.state not in AT_REST for payment in payments),
        "NOTHING_TO_PAY": owed == 0,
        # An amount that credit covers in full is paid without a card.
        "AMOUNT_TOO_SMALL": 0 < asked < SMALLEST_CHARGE[world.practice.currency],
    }
    applying = [reason for reason, applies in reasons.items() if applies]
    return why_no_card(world, client_id) + applying
