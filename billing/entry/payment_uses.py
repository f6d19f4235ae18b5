"""Money that a client has paid already, put toward invoices afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger
from billing.entry.errors import EntryError, EntryErrorCode, no_such
from billing.entry.ledger_rows import move_allocation, release
from billing.entry.rows import Draft
from billing.ledger.taking_back import Source


@dataclass(frozen=True)
class PaymentUse:
    """A part of a payment to put toward an invoice. Without an amount it is as much as is due."""

    kind: ClassVar[str] = "allocation"

    payment_id: str
    invoice_id: str
    amount_minor: int | None = None

    def __post_init__(self) -> None:
        check.check_form("payment_id", self.payment_id, check.ID)
        check.check_form("invoice_id", self.invoice_id, check.ID)
        if self.amount_minor is not None:
            check.check_amount("amount_minor", self.amount_minor)


def use_payment(draft: Draft, ledger: ClientLedger, wanted: PaymentUse) -> str:
    """Put a part of a payment toward an invoice. The id is that of the invoice."""
    ledger.refuse_while_paying()
    if wanted.payment_id not in ledger.payments:
        raise no_such("payment", "payment_id")
    invoice = ledger.invoice(wanted.invoice_id)
    left = min(ledger.unused[wanted.payment_id], ledger.unallocated)
    minor = min(left, invoice.due) if wanted.amount_minor is None else wanted.amount_minor
    if minor > left:
        raise EntryError(
            EntryErrorCode.EXCEEDS_PAYMENT, "Less is left of the payment.", "amount_minor"
        )
    if minor > invoice.due:
        raise EntryError(
            EntryErrorCode.EXCEEDS_AMOUNT_DUE,
            "That much is not due of the invoice.",
            "amount_minor",
        )
    if minor > 0:
        move_allocation(draft, Source(invoice.id, wanted.payment_id, False), minor)
    return invoice.id


@dataclass(frozen=True)
class InvoiceRelease:
    """An amount that is put toward an invoice, and is to be unallocated again."""

    kind: ClassVar[str] = "release"

    invoice_id: str
    amount_minor: int


def release_invoice(draft: Draft, ledger: ClientLedger, wanted: InvoiceRelease) -> str:
    """Take allocations of an invoice back, the last first. The id is that of the invoice."""
    ledger.refuse_while_paying()
    invoice = ledger.invoice(wanted.invoice_id)
    release(draft, ledger, invoice.id, wanted.amount_minor)
    return invoice.id


@dataclass(frozen=True)
class FundsSpread:
    """All unallocated funds of a client, to be put toward the oldest invoices."""

    kind: ClassVar[str] = "funds_spread"


def spread_funds(draft: Draft, ledger: ClientLedger, wanted: FundsSpread) -> str:
    """Put unallocated funds toward the oldest invoices: of payments first, the oldest payment
    first, and then credit. The id is that of the client.
    """
    ledger.refuse_while_paying()
    sources = list(fund_sources(ledger))
    for due in ledger.amounts_due().invoices:
        missing = due.minor
        while missing > 0 and sources:
            payment_id, left = sources.pop(0)
            part = min(missing, left)
            source = Source(due.invoice_id, payment_id, payment_id is None)
            move_allocation(draft, source, part)
            missing -= part
            if left > part:
                sources.insert(0, (payment_id, left - part))
    return ledger.id


def fund_sources(ledger: ClientLedger) -> Iterator[tuple[str | None, int]]:
    """Yield the unallocated funds: the parts of payments by their ids, and credit without one."""
    unallocated = ledger.unallocated
    for payment_id, left in ledger.unused.items():
        part = min(left, unallocated)
        if part > 0:
            unallocated -= part
            yield payment_id, part
    if unallocated > 0:
        yield None, unallocated
