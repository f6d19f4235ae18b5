"""What may be said of a payment: its status, and why it failed."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, case, literal_column

from models import DeclineReason, PaymentState
from models.literals import constant


class PaymentStatus(enum.StrEnum):
    PENDING = "PENDING"
    REQUIRES_ACTION = "REQUIRES_ACTION"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class PaymentsMode(enum.StrEnum):
    OFF = "OFF"
    SANDBOX = "SANDBOX"
    TEST = "TEST"
    LIVE = "LIVE"


# A practice's account at Stripe, where it is the key's own: an installation of one practice.
OWN = "own"
# How an account of the sandbox begins; none of Stripe's does, so neither is taken for the other.
SANDBOX_ACCOUNT = "acct_sandbox"


def is_reached(account: str, mode: PaymentsMode) -> bool:
    """Return whether a server of this mode may charge in the account."""
    if mode is PaymentsMode.OFF:
        return False
    return account.startswith(SANDBOX_ACCOUNT) is (mode is PaymentsMode.SANDBOX)


@dataclass(frozen=True)
class Online:
    """Where this server sends card payments."""

    mode: PaymentsMode = PaymentsMode.SANDBOX
    publishable_key: str | None = None
    stripe_js: str | None = None


SANDBOX = Online()
# What a page starts the sandbox's form with.
SANDBOX_KEY = "pk_test_sandbox"

# What a client agrees to by keeping a card. Another text is another version.
CONSENT_VERSION = "2026-11"
CONSENT_TEXT = (
    "I allow my practice to keep this card with Stripe, its payment processor, for payments that I"
    " make here. I can ask the practice to remove it at any time."
)

# What a cardholder may be told: that a card was reported lost or stolen is not among it.
DECLINE_MESSAGES = {
    DeclineReason.GENERIC: "The bank declined the card. Try another card, or ask the bank.",
    DeclineReason.INSUFFICIENT_FUNDS: "The card has insufficient funds.",
    DeclineReason.EXPIRED_CARD: "The card has expired.",
    DeclineReason.INCORRECT_CVC: "The security code is incorrect.",
    DeclineReason.INCORRECT_ZIP: "The postal code does not match the card.",
    DeclineReason.AUTHENTICATION_FAILED: "The bank could not confirm that it is you.",
}

# Whether the same card may be tried again, with what was wrong put right.
RETRYABLE = frozenset(
    {
        DeclineReason.INSUFFICIENT_FUNDS,
        DeclineReason.INCORRECT_CVC,
        DeclineReason.INCORRECT_ZIP,
        DeclineReason.AUTHENTICATION_FAILED,
    }
)


# Before Stripe has it, a payment is pending.
PENDING = (PaymentState.CREATED, PaymentState.CONFIRMING)


def status(state: Any) -> ColumnElement[str]:
    """The status of a payment in this state; any other than PENDING has the state's name."""
    return case(
        (state.in_([constant(s) for s in PENDING]), constant(PaymentStatus.PENDING)), else_=state
    )


def states(statuses: Iterable[PaymentStatus]) -> list[str]:
    """The states that payments of these statuses are in."""
    found: list[str] = []
    for status in statuses:
        found += PENDING if status is PaymentStatus.PENDING else [status.value]
    return found


def decline_message(reason: Any) -> ColumnElement[str]:
    """Why a payment failed, in words for the cardholder."""
    return case(
        *(
            (reason == constant(member), literal_column(f"'{text}'", Text))
            for member, text in DECLINE_MESSAGES.items()
        )
    )
