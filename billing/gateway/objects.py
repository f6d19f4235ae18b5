"""Stripe's objects as our own values: what of them this project reads, and nothing else."""

import contextlib
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models import CardBrand, DeclineReason, DisputeState, RefundState


class IntentStatus(enum.StrEnum):
    """A PaymentIntent's, of those that card payments have."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Card:
    """A card as Stripe has it, with the name and postal code that the bank checks.

    No `customer`: it is kept for nobody there, or no more.
    """

    stripe_id: str | None
    fingerprint: str
    brand: CardBrand
    last4: str
    exp_month: int
    exp_year: int
    name: str | None
    zip: str | None
    customer: str | None


@dataclass(frozen=True)
class Intent:
    """A PaymentIntent. `decline` is why its last try failed; amounts in minor units.

    `payment_id` and `practice_id` are what its metadata names: another program's name none.
    """

    id: str
    payment_id: str | None
    practice_id: str | None
    status: IntentStatus
    amount_minor: int
    received_minor: int
    client_secret: str
    decline: DeclineReason | None
    card: Card | None


class SetupStatus(enum.StrEnum):
    """A SetupIntent's."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Setup:
    """A SetupIntent. `client_id` is whom its metadata names; `decline` why its last try failed."""

    id: str
    status: SetupStatus
    client_secret: str
    client_id: str | None
    decline: DeclineReason | None
    card: Card | None


@dataclass(frozen=True)
class Refunded:
    """A refund. `refund_id` is ours, where it was asked for here; amounts in minor units."""

    id: str
    intent_id: str | None
    refund_id: str | None
    amount_minor: int
    state: RefundState
    created: int


@dataclass(frozen=True)
class Disputed:
    """A dispute; no `state`: an inquiry, which moves no money. Amounts in minor units."""

    id: str
    intent_id: str | None
    amount_minor: int
    state: DisputeState | None
    created: int


@dataclass(frozen=True)
class Event:
    """What a webhook told: a hint of where to look, no more."""

    id: str
    account: str | None
    type: str
    object_id: str | None
    practice_id: str | None


class NotAnEvent(Exception):
    """A webhook's body that Stripe did not sign, or not lately."""


# -- read from what Stripe answers -----------------------------------------------------------------


def intent(told: Mapping[str, Any]) -> Intent:
    method, failed = told.get("payment_method"), told.get("last_payment_error")
    return Intent(
        told["id"],
        (told.get("metadata") or {}).get("payment"),
        (told.get("metadata") or {}).get("practice"),
        IntentStatus(told["status"]),
        told["amount"],
        told.get("amount_received") or 0,
        told["client_secret"],
        decline_reason(failed.get("code"), failed.get("decline_code")) if failed else None,
        card(method) if isinstance(method, Mapping) and method.get("card") else None,
    )


def card(method: Mapping[str, Any]) -> Card:
    """The card of a PaymentMethod, or of a token's preview, which has no id yet."""
    billing, facts = method.get("billing_details") or {}, method["card"]
    return Card(
        method.get("id"),
        facts.get("fingerprint") or "",
        brand(facts["brand"]),
        facts["last4"],
        facts["exp_month"],
        facts["exp_year"],
        billing.get("name") or None,
        (billing.get("address") or {}).get("postal_code") or None,
        method.get("customer"),
    )


def setup(told: Mapping[str, Any]) -> Setup:
    method, failed = told.get("payment_method"), told.get("last_setup_error")
    return Setup(
        told["id"],
        SetupStatus(told["status"]),
        told["client_secret"],
        (told.get("metadata") or {}).get("client"),
        decline_reason(failed.get("code"), failed.get("decline_code")) if failed else None,
        card(method) if isinstance(method, Mapping) and method.get("card") else None,
    )


REFUND_STATES = {
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}


def refunded(told: Mapping[str, Any]) -> Refunded:
    return Refunded(
        told["id"],
        told.get("payment_intent"),
        (told.get("metadata") or {}).get("refund"),
        told["amount"],
        REFUND_STATES.get(told["status"], RefundState.PENDING),
        told["created"],
    )


DISPUTE_STATES = {
    "needs_response": DisputeState.OPEN,
    "under_review": DisputeState.OPEN,
    "appeal_needs_response": DisputeState.OPEN,
    "appeal_under_review": DisputeState.OPEN,
    "won": DisputeState.WON,
    "prevented": DisputeState.WON,
    "lost": DisputeState.LOST,
}


def disputed(told: Mapping[str, Any]) -> Disputed:
    return Disputed(
        told["id"],
        told.get("payment_intent"),
        told["amount"],
        DISPUTE_STATES.get(told["status"]),
        told["created"],
    )


def brand(name: str) -> CardBrand:
    with contextlib.suppress(ValueError):
        return CardBrand(name.upper())
    return CardBrand.OTHER


DECLINES = {
    "insufficient_funds": DeclineReason.INSUFFICIENT_FUNDS,
    "expired_card": DeclineReason.EXPIRED_CARD,
    "incorrect_cvc": DeclineReason.INCORRECT_CVC,
    "invalid_cvc": DeclineReason.INCORRECT_CVC,
    "incorrect_zip": DeclineReason.INCORRECT_ZIP,
    "authentication_required": DeclineReason.AUTHENTICATION_FAILED,
    "payment_intent_authentication_failure": DeclineReason.AUTHENTICATION_FAILED,
    "setup_intent_authentication_failure": DeclineReason.AUTHENTICATION_FAILED,
}


def decline_reason(code: str | None, decline_code: str | None) -> DeclineReason:
    """What may be told: of a lost, stolen or fraudulent card no more than of any other."""
    known = DECLINES.get(decline_code or "") or DECLINES.get(code or "")
    return known or DeclineReason.GENERIC


# What an event may be about; of all else (charges, refunds, disputes) the payment is looked at.
ABOUT = ("payment_intent", "setup_intent", "payment_method")


def hint(event: Mapping[str, Any]) -> Event:
    try:
        told = event["data"]["object"]
        about = told["id"] if told.get("object") in ABOUT else told.get("payment_intent")
        practice = (told.get("metadata") or {}).get("practice")
        texts = str(event["id"]), event.get("account"), str(event["type"])
    except (KeyError, TypeError, AttributeError):
        raise NotAnEvent from None
    return Event(*texts, about if isinstance(about, str) else None, practice)
