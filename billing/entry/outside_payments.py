"""Money received and given back outside the portal: cash, checks, transfers, other terminals."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger
from billing.entry.errors import EntryError, EntryErrorCode, no_such
from billing.entry.ledger_rows import allocate_shares, cover_withdrawal, enter
from billing.entry.rows import Draft, Values
from billing.ledger.allocation import Share, allocate
from billing.payments.rows import entry_columns, receipt_columns
from billing.payments.states import first
from models import EntryKind, LedgerEntry, Payment, PaymentMethodKind, PaymentState, Receipt

DESCRIPTIONS = {
    PaymentMethodKind.CASH: "Payment by cash",
    PaymentMethodKind.CHECK: "Payment by check",
    PaymentMethodKind.BANK_TRANSFER: "Payment by bank transfer",
    PaymentMethodKind.CARD: "Payment by card",
    PaymentMethodKind.INSURANCE: "Payment by insurance",
    PaymentMethodKind.OTHER: "Payment",
}


class Portion(NamedTuple):
    """The part of a payment for one invoice."""

    invoice_id: str
    amount_minor: int


@dataclass(frozen=True)
class OutsidePayment:
    """Money that was received outside the portal, on a day until today.

    It is put toward one invoice, or toward the given portions, or else toward the oldest invoices;
    the rest is unallocated. The history shows the reference, as a check's number, and the payer.
    """

    kind: ClassVar[str] = "payment"

    method: PaymentMethodKind
    amount_minor: int
    paid_on: dt.date | None = None
    invoice_id: str | None = None
    portions: Sequence[Portion] | None = None
    payer: str | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        if self.method not in DESCRIPTIONS:
            raise check.invalid("method", "is not a way to pay outside the portal")
        check.check_amount("amount_minor", self.amount_minor)
        check.check_optional_day("paid_on", self.paid_on)
        check.check_optional_form("invoice_id", self.invoice_id, check.ID)
        for portion in self.portions or ():
            check.check_amount("portions.amount_minor", portion.amount_minor)
        check.check_ids("portions.invoice_id", [one.invoice_id for one in self.portions or ()])
        if self.invoice_id is not None and self.portions is not None:
            raise check.invalid("portions", "are given beside an invoice")
        check.check_optional_text("payer", self.payer)
        check.check_optional_text("reference", self.reference, 50)

    @property
    def description(self) -> str:
        reference = f" {self.reference}" if self.reference else ""
        payer = f" from {self.payer}" if self.payer else ""
        return f"{DESCRIPTIONS[self.method]}{reference}{payer}"


def record_payment(draft: Draft, ledger: ClientLedger, wanted: OutsidePayment) -> str:
    """Record a payment with its receipt, and put it toward invoices."""
    ledger.refuse_while_paying()
    paid_on = wanted.paid_on or draft.today
    if paid_on > draft.today:
        raise check.invalid("paid_on", "is in the future")
    shares = shares_of(ledger, wanted)
    payment = draft.insert(
        Payment,
        invoice_id=wanted.invoice_id,
        method=wanted.method,
        **first(PaymentState.SUCCEEDED),
        amount_minor=wanted.amount_minor,
        created_at=draft.now,
        created_on=paid_on,
        paid_at=ledger.practice.moment_of(paid_on, draft.stamp),
    )
    enter_success(draft, payment, shares, paid_on, wanted.description)
    return str(payment["id"])


def shares_of(ledger: ClientLedger, wanted: OutsidePayment) -> list[Share]:
    """Return the parts of invoices that a payment pays."""
    if wanted.portions is not None:
        return portion_shares(ledger, wanted)
    if wanted.invoice_id is None:
        return allocate(ledger.amounts_due(), wanted.amount_minor)
    ledger.invoice(wanted.invoice_id)
    amounts_due = ledger.amounts_due(also_disputed=True).of(wanted.invoice_id)
    return allocate(amounts_due, wanted.amount_minor)


def portion_shares(ledger: ClientLedger, wanted: OutsidePayment) -> list[Share]:
    portions = wanted.portions or ()
    if sum(portion.amount_minor for portion in portions) > wanted.amount_minor:
        raise EntryError(
            EntryErrorCode.EXCEEDS_PAYMENT, "The portions exceed the payment.", "portions"
        )
    for portion in portions:
        invoice = ledger.invoice(portion.invoice_id, field="portions.invoice_id")
        if portion.amount_minor > invoice.due:
            raise EntryError(
                EntryErrorCode.EXCEEDS_AMOUNT_DUE,
                "That much is not due of the invoice.",
                "portions",
            )
    return [Share(invoice_id, minor, False) for invoice_id, minor in portions]


def enter_success(
    draft: Draft, payment: Values, shares: Sequence[Share], paid_on: dt.date, description: str
) -> None:
    """Add the ledger row, the allocations and the receipt of a payment that succeeded."""
    minor, payment_id = payment["amount_minor"], payment["id"]
    entry = entry_columns(
        payment_id, minor, description, paid_on=paid_on, posted_on=draft.today, now=draft.now
    )
    draft.insert(LedgerEntry, **entry)
    allocate_shares(draft, shares, payment_id)
    payer = payment["contact_id"]
    draft.insert(Receipt, **receipt_columns(payment_id, payer, minor, draft.now, paid_on))


# -- refunds ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OutsideRefund:
    """Money of a payment that was given back outside the portal, on a day until today.

    With an invoice, the payment's part of this invoice is taken back before all other funds.
    """

    kind: ClassVar[str] = "refund"

    payment_id: str
    amount_minor: int
    refunded_on: dt.date | None = None
    description: str = "Refund"
    invoice_id: str | None = None

    def __post_init__(self) -> None:
        check.check_form("payment_id", self.payment_id, check.ID)
        check.check_amount("amount_minor", self.amount_minor)
        check.check_optional_day("refunded_on", self.refunded_on)
        check.check_text("description", self.description)
        check.check_optional_form("invoice_id", self.invoice_id, check.ID)


def record_refund(draft: Draft, ledger: ClientLedger, wanted: OutsideRefund) -> str:
    """Record a refund: from unallocated funds, and beyond those from invoices, which are due again.

    Money that Stripe has received is refunded through Stripe alone.
    """
    ledger.refuse_while_paying()
    payment = ledger.payments.get(wanted.payment_id)
    if payment is None or payment["state"] != PaymentState.SUCCEEDED:
        raise no_such("payment", "payment_id")
    if payment["stripe_id"] is not None:
        raise EntryError(
            EntryErrorCode.PAID_BY_CARD, "A card is refunded through Stripe.", "payment_id"
        )
    refunded_on = wanted.refunded_on or draft.today
    if not payment["created_on"] <= refunded_on <= draft.today:
        raise check.invalid("refunded_on", "is before the payment, or in the future")
    if wanted.invoice_id is not None:
        ledger.invoice(wanted.invoice_id, may_be_void=True)
    entry = enter_refund(draft, ledger, payment, wanted)
    entry["date"] = refunded_on
    return str(entry["id"])


def enter_refund(
    draft: Draft, ledger: ClientLedger, payment: Values, wanted: OutsideRefund
) -> Values:
    """Add the ledger row of a refund, and take allocations back that it leaves without funds."""
    before, minor = refunds_of(ledger, payment["id"]), wanted.amount_minor
    if minor > payment["amount_minor"] - sum(one["amount_minor"] for one in before):
        raise EntryError(
            EntryErrorCode.EXCEEDS_PAYMENT, "Less is left of the payment.", "amount_minor"
        )
    entry = enter(
        draft,
        EntryKind.REFUND,
        minor,
        wanted.description,
        payment_id=payment["id"],
        reference=f"{payment['id']} {len(before) + 1}",
    )
    cover_withdrawal(draft, ledger, minor, payment["id"], invoice_id=wanted.invoice_id)
    return entry


def refunds_of(ledger: ClientLedger, payment_id: str) -> list[Values]:
    """Return the ledger rows of a payment's refunds."""
    return [
        entry
        for entry in ledger.entries
        if entry["kind"] == EntryKind.REFUND and entry["payment_id"] == payment_id
    ]
