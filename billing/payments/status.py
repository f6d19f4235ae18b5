"""Payments as clients see them: the modes of online payments, statuses, and decline messages."""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, case, func, literal_column

from billing.ledger.invoices import total
from models import DeclineReason, DisputeState, PaymentState
from models.literals import constant


class PaymentStatus(enum.StrEnum):
    PENDING = "PENDING"
    REQUIRES_ACTION = "REQUIRES_ACTION"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    DISPUTED = "DISPUTED"
    CHARGED_BACK = "CHARGED_BACK"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class PaymentsMode(enum.StrEnum):
    OFF = "OFF"
    SANDBOX = "SANDBOX"
    TEST = "TEST"
    LIVE = "LIVE"


def mode_of_key(api_key: str | None) -> PaymentsMode:
    """Return the mode of a key; without a key it is the sandbox. Raise ValueError for
    other texts.
    """
    if api_key is None:
        return PaymentsMode.SANDBOX
    for kind, found in (("test", PaymentsMode.TEST), ("live", PaymentsMode.LIVE)):
        if api_key.startswith((f"sk_{kind}_", f"rk_{kind}_")):
            return found
    raise ValueError(
        "is no secret key of Stripe: a secret key begins with sk_test_, sk_live_ or rk_"
    )


# Stands for the key's own account at Stripe, in an installation of one practice.
OWN = "own"
# The prefix of the sandbox's accounts. No account of Stripe has it, so the two can't be mixed up.
SANDBOX_ACCOUNT = "acct_sandbox"


def is_reached(account: str, mode: PaymentsMode) -> bool:
    """Return whether a server in this mode may charge in the account."""
    if mode is PaymentsMode.OFF:
        return False
    return account.startswith(SANDBOX_ACCOUNT) is (mode is PaymentsMode.SANDBOX)


class Wallet(enum.StrEnum):
    """A service that keeps a person's cards, and that Stripe's form may offer."""

    APPLE_PAY = "apple_pay"
    GOOGLE_PAY = "google_pay"
    LINK = "link"


@dataclass(frozen=True)
class Online:
    """The destination of card payments of this server, and the wallets that pages offer."""

    mode: PaymentsMode = PaymentsMode.SANDBOX
    publishable_key: str | None = None
    stripe_js: str | None = None
    wallets: Collection[Wallet] = ()


SANDBOX = Online()
# The publishable key that pages use for the sandbox's form.
SANDBOX_KEY = "pk_test_sandbox"

# The consent of a client to keep a card. Another text needs another version.
CONSENT_VERSION = "2026-11"
CONSENT_TEXT = (
    "I allow my practice to keep this card with Stripe, its payment processor, for payments that I"
    " make here. I can ask the practice to remove it at any time."
)

# The messages for cardholders. They never reveal that a card was reported lost or stolen.
DECLINE_MESSAGES = {
    DeclineReason.GENERIC: "The bank declined the card. Try another card, or ask the bank.",
    DeclineReason.INSUFFICIENT_FUNDS: "The card has insufficient funds.",
    DeclineReason.EXPIRED_CARD: "The card has expired.",
    DeclineReason.INCORRECT_CVC: "The security code is incorrect.",
    DeclineReason.INCORRECT_ZIP: "The postal code does not match the card.",
    DeclineReason.AUTHENTICATION_FAILED: "The bank could not confirm that it is you.",
}

# The reasons after which the same card may be tried again, with corrected details.
RETRYABLE = frozenset(
    {
        DeclineReason.INSUFFICIENT_FUNDS,
        DeclineReason.INCORRECT_CVC,
        DeclineReason.INCORRECT_ZIP,
        DeclineReason.AUTHENTICATION_FAILED,
    }
)


# The states before Stripe has the payment.
PENDING = (PaymentState.CREATED, PaymentState.CONFIRMING)


# The states of payments with a status, if they have another name.
STATES_OF: Mapping[PaymentStatus, Sequence[str]] = {
    PaymentStatus.PENDING: PENDING,
    PaymentStatus.DISPUTED: (PaymentState.SUCCEEDED,),
    PaymentStatus.CHARGED_BACK: (PaymentState.SUCCEEDED,),
}


def payment_status(state: Any, of_disputes: Any) -> ColumnElement[str]:
    """Return the status for a payment's state. If it succeeded, its disputes decide."""
    return case(
        (state == constant(PaymentState.SUCCEEDED), of_disputes),
        (state.in_([constant(s) for s in PENDING]), constant(PaymentStatus.PENDING)),
        else_=state,
    )


def status_of_disputes(dispute: Any) -> ColumnElement[str]:
    """Return the status of a payment that succeeded, an aggregate over its disputes."""

    def any_is(state: DisputeState) -> ColumnElement[bool]:
        return func.count(case((dispute.c.state == constant(state), constant(1)))) > constant(0)

    return case(
        (any_is(DisputeState.OPEN), constant(PaymentStatus.DISPUTED)),
        (any_is(DisputeState.LOST), constant(PaymentStatus.CHARGED_BACK)),
        else_=constant(PaymentStatus.SUCCEEDED),
    )


def disputed_amount(dispute: Any) -> ColumnElement[int]:
    """Return the amount that banks hold or have kept, an aggregate over a payment's disputes."""
    is_lost_or_open = dispute.c.state != constant(DisputeState.WON)
    return total(case((is_lost_or_open, dispute.c.amount_minor)))


def states(statuses: Iterable[PaymentStatus]) -> list[str]:
    """Return the states of payments with these statuses."""
    found: list[str] = []
    for status in statuses:
        found += STATES_OF.get(status, [status.value])
    return found


def decline_message(reason: Any) -> ColumnElement[str]:
    """Return the reason for a failed payment, in words for the cardholder."""
    return case(
        *(
            (reason == constant(member), literal_column(f"'{text}'", Text))
            for member, text in DECLINE_MESSAGES.items()
        )
    )
