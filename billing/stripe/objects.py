"""Stripe's objects as our own values, with only the fields that this project reads.

Amounts are in ISO's minor units. An absent field is None or empty, and a status that this release
does not know is UNKNOWN: objects of other programs raise no error here.
"""

import contextlib
import datetime as dt
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from billing.stripe.currencies import from_stripe
from billing.stripe.declines import parse_decline
from models import CardBrand, DeclineReason, DisputeState, RefundState
from models.ids import UUID


class IntentStatus(enum.StrEnum):
    """The status of a PaymentIntent."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    # Any other status, such as requires_capture, which this project's PaymentIntents never have.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Card:
    """A card as Stripe has it, with the name and postal code that the bank checks.

    Without a `customer` the card is not attached, or no longer. `country` is that of the billing
    address. `is_of_wallet` is set for a card that Apple Pay, Google Pay or Link has given.
    """

    stripe_id: str | None
    fingerprint: str | None
    brand: CardBrand
    last4: str
    exp_month: int
    exp_year: int
    name: str | None
    zip: str | None
    customer: str | None
    country: str | None = None
    is_of_wallet: bool = False


@dataclass(frozen=True)
class Order:
    """A payment as it is sent to Stripe: opaque ids, an amount, and the choices for a new card.

    Without an invoice it pays the balance. Its ids are in the PaymentIntent's metadata, so that a
    database that was restored from a backup can adopt the payment.
    """

    payment_id: str
    practice_id: str
    client_id: str
    amount_minor: int
    currency: str
    # The payer, if it is a contact.
    contact_id: str | None = None
    invoice_id: str | None = None
    customer: str | None = None
    save_card: bool = False
    make_default: bool = False
    # The version of the consent text, if the card is to be kept.
    consent_version: str | None = None


@dataclass(frozen=True)
class Intent:
    """A PaymentIntent. `decline` is the reason why its last try failed, and `card` then the card.

    `order` is the payment that it was created for: an intent of another program has none.
    `created` is by Stripe's clock, and so is `charged_at`, the time of the charge. `fee_minor` is
    the part of the charge that Stripe keeps. It is unknown until Stripe has booked the charge, and
    where Stripe books it in another currency.
    """

    id: str
    order: Order | None
    created: dt.datetime
    status: IntentStatus
    received_minor: int
    client_secret: str
    decline: DeclineReason | None
    card: Card | None
    charged_at: dt.datetime | None
    fee_minor: int | None = None


class SetupStatus(enum.StrEnum):
    """The status of a SetupIntent."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Setup:
    """A SetupIntent. Its metadata names the client, the contact who opened the form (None if the
    client did), the practice, our id of the form, and the version of the consent text. `decline` is
    the reason why its last try failed.
    """

    id: str
    created: dt.datetime
    status: SetupStatus
    client_secret: str
    client_id: str | None
    contact_id: str | None
    practice_id: str | None
    setup_id: str | None
    consent_version: str | None
    decline: DeclineReason | None
    card: Card | None


@dataclass(frozen=True)
class CustomerFacts:
    """The customer of a client or of a contact: the other id is None."""

    id: str
    created: dt.datetime
    client_id: str | None
    contact_id: str | None
    practice_id: str


@dataclass(frozen=True)
class Refunded:
    """A refund. `created` is by Stripe's clock.

    A refund that was requested here has our id, the hash of its key, and the chosen invoice.
    """

    id: str
    intent_id: str | None
    refund_id: str | None
    key_hash: str | None
    invoice_id: str | None
    amount_minor: int
    state: RefundState
    created: dt.datetime


@dataclass(frozen=True)
class Disputed:
    """A dispute. Without a `state` it moves no money, such as an inquiry.

    Its currency may differ from the payment's.
    """

    id: str
    intent_id: str | None
    amount_minor: int
    currency: str
    state: DisputeState | None
    created: dt.datetime


@dataclass(frozen=True)
class Event:
    """A webhook's content. It is only a hint which object to read."""

    id: str
    account: str | None
    type: str
    object_id: str | None
    practice_id: str | None


class NotAnEvent(Exception):
    """A webhook's body that Stripe did not sign, or not recently. The text gives the reason."""


# -- parsing of Stripe's responses -----------------------------------------------------------------

# The metadata of a payment whose new card is to be the default.
DEFAULT = "yes"


def parse_intent(data: Mapping[str, Any]) -> Intent:
    charge, currency = data.get("latest_charge"), data.get("currency") or ""
    return Intent(
        data["id"],
        parse_order(data),
        from_unix(data["created"]),
        known_status(IntentStatus, data),
        from_stripe(data.get("amount_received") or 0, currency),
        data.get("client_secret") or "",
        parse_decline(data.get("last_payment_error")),
        attached_card(data) or attached_card(data.get("last_payment_error") or {}),
        from_unix(charge["created"]) if isinstance(charge, Mapping) else None,
        parse_fee(charge, currency),
    )


def parse_fee(charge: Any, currency: str) -> int | None:
    """Return Stripe's fee for a charge, if the call requested its balance transaction."""
    booked = charge.get("balance_transaction") if isinstance(charge, Mapping) else None
    if not isinstance(booked, Mapping) or booked["currency"] != currency:
        return None
    return from_stripe(booked["fee"], currency)


def order_metadata(order: Order) -> dict[str, str]:
    """Return what a PaymentIntent's metadata says about a payment."""
    named = {
        "payment": order.payment_id,
        "practice": order.practice_id,
        "client": order.client_id,
        "contact": order.contact_id,
        "invoice": order.invoice_id,
        "consent": order.consent_version,
        "default": DEFAULT if order.make_default else None,
    }
    return present(named)


def present(named: Mapping[str, str | None]) -> dict[str, str]:
    """Return the metadata that has a value."""
    return {name: value for name, value in named.items() if value is not None}


def parse_order(data: Mapping[str, Any]) -> Order | None:
    """Return the payment that a PaymentIntent was created for; None for another program's."""
    payment_id, practice_id, client_id = (
        metadata(data, name) for name in ("payment", "practice", "client")
    )
    if payment_id is None or practice_id is None or client_id is None:
        return None
    currency = str(data["currency"]).upper()
    return Order(
        payment_id,
        practice_id,
        client_id,
        from_stripe(data["amount"], currency),
        currency,
        metadata(data, "contact"),
        metadata(data, "invoice"),
        reference(data.get("customer")),
        bool(data.get("setup_future_usage")),
        data["metadata"].get("default") == DEFAULT,
        consent_version(data),
    )


def parse_setup(data: Mapping[str, Any]) -> Setup:
    return Setup(
        data["id"],
        from_unix(data["created"]),
        known_status(SetupStatus, data),
        data.get("client_secret") or "",
        metadata(data, "client"),
        metadata(data, "contact"),
        metadata(data, "practice"),
        metadata(data, "setup"),
        consent_version(data),
        parse_decline(data.get("last_setup_error")),
        attached_card(data),
    )


def parse_customer(data: Mapping[str, Any]) -> CustomerFacts | None:
    """Return the customer of a client or of a contact; None for another program's."""
    client_id, contact_id, practice_id = (
        metadata(data, name) for name in ("client", "contact", "practice")
    )
    if (client_id is None) is (contact_id is None) or practice_id is None:
        return None
    return CustomerFacts(data["id"], from_unix(data["created"]), client_id, contact_id, practice_id)


def attached_card(data: Mapping[str, Any]) -> Card | None:
    """Return the card of an intent, if the call requested it."""
    method = data.get("payment_method")
    return parse_card(method) if isinstance(method, Mapping) and method.get("card") else None


def parse_card(method: Mapping[str, Any]) -> Card:
    """Return the card of a PaymentMethod, or of a token's preview, which has no id yet."""
    billing, facts = method.get("billing_details") or {}, method["card"]
    address = billing.get("address") or {}
    return Card(
        method.get("id"),
        facts.get("fingerprint") or None,
        brand(facts.get("brand") or ""),
        facts["last4"],
        facts["exp_month"],
        facts["exp_year"],
        billing.get("name") or None,
        address.get("postal_code") or None,
        reference(method.get("customer")),
        address.get("country") or None,
        bool(facts.get("wallet")),
    )


REFUND_STATES = {
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}


def parse_refund(data: Mapping[str, Any]) -> Refunded:
    return Refunded(
        data["id"],
        reference(data.get("payment_intent")),
        metadata(data, "refund"),
        metadata(data, "key"),
        metadata(data, "invoice"),
        from_stripe(data["amount"], data["currency"]),
        REFUND_STATES.get(data.get("status") or "", RefundState.PENDING),
        from_unix(data["created"]),
    )


DISPUTE_STATES = {
    "needs_response": DisputeState.OPEN,
    "under_review": DisputeState.OPEN,
    "won": DisputeState.WON,
    "prevented": DisputeState.WON,
    "lost": DisputeState.LOST,
}


def parse_dispute(data: Mapping[str, Any]) -> Disputed:
    return Disputed(
        data["id"],
        reference(data.get("payment_intent")),
        from_stripe(data["amount"], data["currency"]),
        str(data["currency"]).upper(),
        DISPUTE_STATES.get(data["status"]) if data["amount"] else None,
        from_unix(data["created"]),
    )


# -- parts of objects ------------------------------------------------------------------------------

S = TypeVar("S", IntentStatus, SetupStatus)


def known_status(members: type[S], data: Mapping[str, Any]) -> S:
    with contextlib.suppress(ValueError):
        return members(str(data.get("status")))
    return members("unknown")


def metadata(data: Mapping[str, Any], name: str) -> str | None:
    """Return an id of ours from an object's metadata. Text of other programs gives None."""
    found = (data.get("metadata") or {}).get(name)
    return found if isinstance(found, str) and UUID.fullmatch(found) else None


def consent_version(data: Mapping[str, Any]) -> str | None:
    """Return the version of the consent text from an object's metadata."""
    found = (data.get("metadata") or {}).get("consent")
    return found if is_name(found) else None


def reference(data: Any) -> str | None:
    """Return the id of another object, which the response may include as a whole."""
    return data.get("id") if isinstance(data, Mapping) else data


def from_unix(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def brand(name: str) -> CardBrand:
    with contextlib.suppress(ValueError):
        return CardBrand(name.upper())
    return CardBrand.OTHER


# The types of objects that are read for an event. For a charge, a refund or a dispute the payment
# is read.
ABOUT = ("payment_intent", "setup_intent", "payment_method", "customer")
# The form of Stripe's ids and types.
NAME = re.compile(r"[!-~]{1,255}")


def hint(event: Mapping[str, Any], account: str | None = None) -> Event:
    """Return the hint of an event. `account` is the account of a listed event, which lacks it."""
    try:
        told = event["data"]["object"]
        about = told["id"] if told.get("object") in ABOUT else reference(told.get("payment_intent"))
        practice = metadata(told, "practice")
        id_, type_, of = event["id"], event["type"], event.get("account") or account
    except (KeyError, TypeError, AttributeError):
        raise NotAnEvent("the body is not an event") from None
    if not (is_name(id_) and is_name(type_) and (of is None or is_name(of))):
        raise NotAnEvent("the body is not an event")
    return Event(id_, of, type_, about if is_name(about) else None, practice)


def is_name(told: Any) -> bool:
    return isinstance(told, str) and NAME.fullmatch(told) is not None
