"""The demo's cards and payments by card, which were settled in the past.

In the portal these rows are written step by step, while Stripe is asked. Here a payment is inserted
as it ended; the values of its rows are those of `billing/payments/`.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from billing.entry.client_ledger import ClientLedger
from billing.entry.outside_payments import enter_success
from billing.entry.practice_facts import PracticeFacts
from billing.entry.rows import Draft, Values
from billing.ledger.allocation import allocate
from billing.payments.rows import CARD_DESCRIPTION, claim_columns
from models import (
    CardBrand,
    Claim,
    DeclineReason,
    Payment,
    PaymentMethod,
    PaymentMethodKind,
    PaymentState,
    StripeCustomer,
)


@dataclass(frozen=True)
class Card:
    """A card to put on file."""

    kind: ClassVar[str] = "card"

    brand: CardBrand
    last4: str
    exp_year: int
    exp_month: int
    cardholder_name: str
    billing_zip: str
    stripe_id: str = ""
    fingerprint: str = ""
    is_default: bool = False
    # The holder, if it is a contact.
    contact_id: str | None = None
    id: str | None = None


@dataclass(frozen=True)
class CardCharge:
    """A payment with a card on file, as it ended or is under way."""

    kind: ClassVar[str] = "card_charge"

    card: Card
    state: PaymentState
    amount_minor: int
    invoice_id: str | None
    reason: DeclineReason | None
    idempotency_key: str
    stripe_id: str


def open_customer(draft: Draft, ledger: ClientLedger, stripe_id: str) -> str:
    """Insert the client's customer at Stripe."""
    account = ledger.practice.values["stripe_account"]
    draft.insert(StripeCustomer, stripe_id=stripe_id, created_at=draft.now, stripe_account=account)
    return stripe_id


@dataclass(frozen=True)
class ContactCustomer:
    """A contact, and the contact's customer at Stripe."""

    kind: ClassVar[str] = "contact_customer"

    contact_id: str
    stripe_id: str


def open_contact_customer(draft: Draft, facts: PracticeFacts, wanted: ContactCustomer) -> str:
    """Insert a contact's customer at Stripe."""
    account = facts.values["stripe_account"]
    at_stripe = {"stripe_account": account, "stripe_id": wanted.stripe_id}
    draft.insert(StripeCustomer, contact_id=wanted.contact_id, created_at=draft.now, **at_stripe)
    return wanted.stripe_id


def keep_card(draft: Draft, ledger: ClientLedger, card: Card) -> str:
    """Put a card on file."""
    columns: dict[str, Any] = {one.name: getattr(card, one.name) for one in fields(card)}
    row = draft.insert(
        PaymentMethod,
        stripe_account=ledger.practice.values["stripe_account"],
        added_at=draft.now,
        consent_version="2024-01",
        consented_at=draft.now,
        is_shared=False,
        revision=0,
        **columns,
    )
    return str(row["id"])


def charge_card(draft: Draft, ledger: ClientLedger, charge: CardCharge) -> str:
    """Insert a payment by card, with the rows that belong to its state."""
    payment = insert_payment(draft, ledger, charge)
    amounts_due = ledger.amounts_due().of(charge.invoice_id)
    if charge.state == PaymentState.SUCCEEDED:
        shares = allocate(amounts_due, charge.amount_minor)
        enter_success(draft, payment, shares, draft.today, CARD_DESCRIPTION)
    elif charge.state == PaymentState.PROCESSING:
        for claim in claim_columns(payment["id"], amounts_due):
            draft.insert(Claim, **claim)
    return str(payment["id"])


def insert_payment(draft: Draft, ledger: ClientLedger, charge: CardCharge) -> Values:
    card, succeeded = charge.card, charge.state == PaymentState.SUCCEEDED
    paid_at = draft.now if succeeded else None
    return draft.insert(
        Payment,
        contact_id=card.contact_id,
        invoice_id=charge.invoice_id,
        method=PaymentMethodKind.CARD,
        state=charge.state,
        amount_minor=charge.amount_minor,
        payment_method_id=card.id,
        card_brand=card.brand,
        card_last4=card.last4,
        failure_reason=charge.reason,
        idempotency_key=charge.idempotency_key,
        stripe_account=ledger.practice.values["stripe_account"],
        stripe_id=charge.stripe_id,
        charged_at=paid_at,
        created_at=draft.now,
        created_on=draft.today,
        paid_at=paid_at,
    )
