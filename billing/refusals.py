"""What is refused, and why: each refusal is a class, and the code tells it to a program.

Refusal
├── InvalidInput            an argument is wrong; `path` says which
├── NotFound                there is no such thing in sight
├── NotAllowed              in sight, but not to be paid for by this viewer
├── OnlinePaymentsOff       the practice takes no payments online
├── CardUnusable            the card on file has expired
├── NothingToPay            nothing is due
├── AmountChanged           what is payable isn't what the page showed
├── AmountTooSmall          less than a card can be charged
├── AmountTooLarge          more than a card can be charged
├── PaymentsUnavailable     Stripe does not take this practice's payments now
├── PaymentInProgress       another payment of the client is under way
├── IdempotencyKeyReused    the key belongs to another request
├── TooManyAttempts         too many declines of late, or codes that were wrong
├── CardRefused             the bank refused a card that was to be kept
├── CardRemovalOff          the practice doesn't let clients remove cards
├── ReplacementNeeded       the default is removed, and which card comes next isn't said
├── SignInLinkInvalid       the link doesn't sign in, here or at all
└── SignInCodeInvalid       the code doesn't sign in, here or at all
"""

import datetime as dt
import enum
from collections.abc import Sequence

from billing.payments import DECLINE_MESSAGES
from models import DeclineReason


class ErrorCode(enum.StrEnum):
    CARD_DECLINED = "CARD_DECLINED"
    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    NOT_ALLOWED = "NOT_ALLOWED"
    ONLINE_PAYMENTS_OFF = "ONLINE_PAYMENTS_OFF"
    CARD_UNUSABLE = "CARD_UNUSABLE"
    NOTHING_TO_PAY = "NOTHING_TO_PAY"
    AMOUNT_CHANGED = "AMOUNT_CHANGED"
    AMOUNT_TOO_SMALL = "AMOUNT_TOO_SMALL"
    AMOUNT_TOO_LARGE = "AMOUNT_TOO_LARGE"
    PAYMENTS_UNAVAILABLE = "PAYMENTS_UNAVAILABLE"
    PAYMENT_IN_PROGRESS = "PAYMENT_IN_PROGRESS"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    CARD_REFUSED = "CARD_REFUSED"
    CARD_REMOVAL_OFF = "CARD_REMOVAL_OFF"
    REPLACEMENT_NEEDED = "REPLACEMENT_NEEDED"
    SIGN_IN_LINK_INVALID = "SIGN_IN_LINK_INVALID"
    SIGN_IN_CODE_INVALID = "SIGN_IN_CODE_INVALID"


class Refusal(Exception):
    """Nothing was begun. `path` is the input to blame, if one is."""

    code: ErrorCode

    def __init__(self, message: str, path: Sequence[str] | None = None) -> None:
        super().__init__(message)
        self.path = path


class InvalidInput(Refusal):
    code = ErrorCode.INVALID_INPUT


class NotFound(Refusal):
    code = ErrorCode.NOT_FOUND


class NotAllowed(Refusal):
    code = ErrorCode.NOT_ALLOWED


class OnlinePaymentsOff(Refusal):
    code = ErrorCode.ONLINE_PAYMENTS_OFF


class CardUnusable(Refusal):
    code = ErrorCode.CARD_UNUSABLE


class NothingToPay(Refusal):
    code = ErrorCode.NOTHING_TO_PAY


class AmountChanged(Refusal):
    """Both amounts in minor units."""

    code = ErrorCode.AMOUNT_CHANGED

    def __init__(self, expected_minor: int, payable_minor: int) -> None:
        super().__init__("What is payable has changed: show the new amount, and ask again.")
        self.expected_minor, self.payable_minor = expected_minor, payable_minor


class AmountTooSmall(Refusal):
    """The smallest amount, in minor units; None, where Stripe has not published it."""

    code = ErrorCode.AMOUNT_TOO_SMALL

    def __init__(self, minimum_minor: int | None) -> None:
        super().__init__("This is less than a card can be charged.")
        self.minimum_minor = minimum_minor


class AmountTooLarge(Refusal):
    """The largest amount, in minor units."""

    code = ErrorCode.AMOUNT_TOO_LARGE

    def __init__(self, maximum_minor: int) -> None:
        super().__init__("This is more than a card can be charged at once.")
        self.maximum_minor = maximum_minor


class PaymentsUnavailable(Refusal):
    """Stripe refused to begin a payment for a reason that only the practice can mend."""

    code = ErrorCode.PAYMENTS_UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(
            "The practice's card payments don't work at the moment. Nothing was charged: ask the"
            " practice."
        )


class PaymentInProgress(Refusal):
    code = ErrorCode.PAYMENT_IN_PROGRESS

    def __init__(self, payment_id: str) -> None:
        super().__init__("Another payment is under way: see first how it ends.")
        self.payment_id = payment_id


class IdempotencyKeyReused(Refusal):
    code = ErrorCode.IDEMPOTENCY_KEY_REUSED


class TooManyAttempts(Refusal):
    code = ErrorCode.TOO_MANY_ATTEMPTS

    def __init__(
        self,
        retry_at: dt.datetime,
        message: str = "Too many cards were declined. Try again later.",
    ) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class CardRefused(Refusal):
    """With the reason, as far as it may be told."""

    code = ErrorCode.CARD_REFUSED

    def __init__(self, reason: DeclineReason) -> None:
        super().__init__(DECLINE_MESSAGES[reason], ("input", "setupIntentId"))
        self.reason = reason


class CardRemovalOff(Refusal):
    code = ErrorCode.CARD_REMOVAL_OFF


class ReplacementNeeded(Refusal):
    code = ErrorCode.REPLACEMENT_NEEDED


class SignInLinkInvalid(Refusal):
    """The same words whatever is wrong with the link: nobody learns which secrets there are.

    `lasts`: for how long a link works.
    """

    code = ErrorCode.SIGN_IN_LINK_INVALID

    def __init__(self, lasts: dt.timedelta) -> None:
        minutes = lasts // dt.timedelta(minutes=1)
        super().__init__(
            "This link doesn't sign you in here. Open it in the browser that you asked from, type"
            " the mail's code there, or ask for a new mail: a link works once, for"
            f" {minutes} minutes."
        )


class SignInCodeInvalid(Refusal):
    """The same words whatever is wrong with the code. `tries_left`: how many more may be typed."""

    code = ErrorCode.SIGN_IN_CODE_INVALID

    def __init__(self, tries_left: int) -> None:
        super().__init__(
            "This code doesn't sign you in. Type the one of the mail that you asked for here."
            if tries_left
            else "This code doesn't sign you in, and no other will: ask for a new mail.",
            ("input", "code"),
        )
        self.tries_left = tries_left
