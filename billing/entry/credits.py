"""Credit: given by the practice, taken back, and put toward invoices."""

from dataclasses import dataclass
from typing import ClassVar

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.ledger_rows import allocate_shares, cover_withdrawal, enter
from billing.entry.rows import Draft
from billing.ledger.allocation import AmountsDue, allocate
from models import EntryKind


@dataclass(frozen=True)
class Credit:
    """An amount in the client's favour; a negative one withdraws credit that is not used."""

    kind: ClassVar[str] = "credit"

    amount_minor: int
    description: str

    def __post_init__(self) -> None:
        check.check_signed_amount("amount_minor", self.amount_minor)
        check.check_text("description", self.description)


def give_credit(draft: Draft, ledger: ClientLedger, wanted: Credit) -> str:
    """Give credit, which stays unallocated until it is put toward an invoice."""
    if wanted.amount_minor < 0:
        ledger.refuse_while_paying()
        refuse_beyond_funds(ledger, -wanted.amount_minor)
    return str(enter(draft, EntryKind.CREDIT, -wanted.amount_minor, wanted.description)["id"])


def withdraw_credit(draft: Draft, ledger: ClientLedger, wanted: Credit) -> str:
    """Withdraw credit. As far as it is in use, allocations are taken back."""
    ledger.refuse_while_paying()
    minor = -wanted.amount_minor
    entry = enter(draft, EntryKind.CREDIT, minor, wanted.description)
    cover_withdrawal(draft, ledger, minor)
    return str(entry["id"])


@dataclass(frozen=True)
class CreditUse:
    """An amount of unallocated funds to put toward one invoice."""

    kind: ClassVar[str] = "credit_use"

    invoice_id: str
    amount_minor: int

    def __post_init__(self) -> None:
        check.check_form("invoice_id", self.invoice_id, check.ID)
        check.check_amount("amount_minor", self.amount_minor)


def use_credit(draft: Draft, ledger: ClientLedger, wanted: CreditUse) -> str:
    """Put unallocated funds toward an invoice. The id is that of the invoice."""
    ledger.refuse_while_paying()
    refuse_beyond_funds(ledger, wanted.amount_minor)
    ledger.invoice(wanted.invoice_id)
    owed = ledger.amounts_due(also_disputed=True).of(wanted.invoice_id)
    if owed.due_minor < wanted.amount_minor:
        raise EntryError(
            EntryErrorCode.EXCEEDS_AMOUNT_DUE,
            "That much is not due of the invoice.",
            "amount_minor",
        )
    allocate_shares(draft, allocate(AmountsDue(owed.invoices, wanted.amount_minor), 0))
    return wanted.invoice_id


def refuse_beyond_funds(ledger: ClientLedger, minor: int) -> None:
    if minor > ledger.unallocated:
        raise EntryError(
            EntryErrorCode.EXCEEDS_FUNDS, "The client has less unused credit.", "amount_minor"
        )
