"""Payments, their allocations and receipts; and a practice's online payments."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import models
from models import DeclineReason, EntryKind, PaymentState
from tests.oracle import money
from tests.oracle.links import paper
from tests.oracle.shown import Shown
from tests.oracle.world import PROGRAMS

PENDING = (PaymentState.CREATED, PaymentState.CONFIRMING)
CONSENT_TEXT = (
    "I allow my practice to keep this card with Stripe, its payment processor, for payments that I"
    " make here. I can ask the practice to remove it at any time."
)
MESSAGES = {
    DeclineReason.GENERIC: "The bank declined the card. Try another card, or ask the bank.",
    DeclineReason.INSUFFICIENT_FUNDS: "The card has insufficient funds.",
    DeclineReason.EXPIRED_CARD: "The card has expired.",
    DeclineReason.INCORRECT_CVC: "The security code is incorrect.",
    DeclineReason.INCORRECT_ZIP: "The postal code does not match the card.",
    DeclineReason.AUTHENTICATION_FAILED: "The bank could not confirm that it is you.",
}


def status(world: Any, payment: Any) -> str:
    """Return the status: an open dispute comes before one that was lost."""
    if payment.state is PaymentState.SUCCEEDED:
        decisions = {dispute.state for dispute in held_disputes(world, payment)}
        if "OPEN" in decisions:
            return "DISPUTED"
        return "CHARGED_BACK" if decisions else "SUCCEEDED"
    return "PENDING" if payment.state in PENDING else str(payment.state)


def held_disputes(world: Any, payment: Any) -> list[Any]:
    """Return the disputes whose money is not back at the practice."""
    disputes = world.where(models.Dispute, payment_id=payment.id)
    return [dispute for dispute in disputes if dispute.state in ("OPEN", "LOST")]


@dataclass(frozen=True)
class Put:
    """The part of a payment allocated to an invoice."""

    invoice: Any
    amount: int


class Payment(Shown):
    prefix = "pmt"

    @property
    def status(self) -> str:
        return status(self.world, self.row)

    @property
    def card(self) -> Any:
        """Return the card, unless it is another person's that the viewer doesn't know."""
        world, saved = (
            self.world,
            self.world.by_id(models.PaymentMethod, self.row.payment_method_id),
        )
        known = world.token.kind in PROGRAMS or world.holds(self.row)
        known = known or (saved is not None and world.sees_card(saved))
        return self.row if known and self.row.card_brand and self.row.card_last4 else None

    @property
    def payer(self) -> str | None:
        return self.world.payer(self.row) if self.row.method in ("CARD", "CREDIT") else None

    @property
    def failure(self) -> Any:
        return self.row if self.row.state is PaymentState.FAILED else None

    @property
    def allocations(self) -> list[Put]:
        """Return the allocations by visible invoice, without those taken back entirely."""
        rows = self.world.where(models.Allocation, payment_id=self.row.id)
        sums = {row.invoice_id: 0 for row in rows}
        for row in rows:
            sums[row.invoice_id] += row.amount_minor
        invoices = [self.world.by_id(models.Invoice, id_) for id_, put in sums.items() if put]
        seen = [invoice for invoice in invoices if self.world.reads(invoice)]
        return [Put(one, sums[one.id]) for one in sorted(seen, key=lambda one: one.serial)]

    @property
    def refunded(self) -> int:
        kind = EntryKind.REFUND
        return money.summed(self.world.where(models.LedgerEntry, payment_id=self.row.id, kind=kind))

    @property
    def disputed_amount(self) -> int:
        return money.summed(held_disputes(self.world, self.row))

    @property
    def processor_fee(self) -> int | None:
        fee: int | None = self.row.processor_fee_minor
        return fee

    @property
    def receipt(self) -> Any:
        (found, *_) = [*self.world.where(models.Receipt, payment_id=self.row.id), None]
        return found if found and self.world.sees_payment(found) else None


class PaymentCard(Shown):
    """The card in a payment's row."""

    @property
    def brand(self) -> str:
        return str(self.row.card_brand)

    @property
    def last4(self) -> str:
        return str(self.row.card_last4)


class PaymentFailure(Shown):
    """The failure in a payment's row."""

    @property
    def reason(self) -> str:
        return str(self.row.failure_reason)

    @property
    def message(self) -> str:
        return MESSAGES[self.row.failure_reason]


class Receipt(Shown):
    prefix = "rct"

    @property
    def paid_on(self) -> Any:
        return self.row.issued_on

    @property
    def document(self) -> Any:
        return paper(self, "Receipt")


NO_WALLETS = SimpleNamespace(apple_pay=False, google_pay=False, link=False)


class OnlinePayments(Shown):
    """The online payments of a practice's row. If they are on, this server has its sandbox."""

    publishable_key = None
    stripe_js = None
    consent_text = CONSENT_TEXT

    @property
    def is_enabled(self) -> bool:
        return self.row.stripe_account is not None

    @property
    def mode(self) -> str:
        return "SANDBOX" if self.is_enabled else "OFF"

    @property
    def can_remove_cards(self) -> bool:
        return bool(self.row.clients_remove_cards)

    @property
    def stripe_decimals(self) -> int:
        return money.STRIPE_DECIMALS[self.row.currency]

    @property
    def wallets(self) -> Any:
        return NO_WALLETS

    @property
    def minimum(self) -> int:
        return money.SMALLEST_CHARGE[self.row.currency]
