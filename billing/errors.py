"""Errors that a client can cause: each is a class, and its code tells programs the reason."""

import datetime as dt
import enum
from collections.abc import Sequence

from billing.payments.status import DECLINE_MESSAGES
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
    ALREADY_INVOICED = "ALREADY_INVOICED"
    INVOICE_IS_VOID = "INVOICE_IS_VOID"
    EXCEEDS_AMOUNT_DUE = "EXCEEDS_AMOUNT_DUE"
    EXCEEDS_FUNDS = "EXCEEDS_FUNDS"
    EXCEEDS_PAYMENT = "EXCEEDS_PAYMENT"
    PAID_BY_CARD = "PAID_BY_CARD"
    NUMBER_TAKEN = "NUMBER_TAKEN"
    CHANGED_AFTER_ENTRY = "CHANGED_AFTER_ENTRY"


class UserError(Exception):
    """An error that is raised before anything is started. `path` names the wrong input, if any."""

    code: ErrorCode

    def __init__(self, message: str, path: Sequence[str] | None = None) -> None:
        super().__init__(message)
        self.path = path


class InvalidInputError(UserError):
    code = ErrorCode.INVALID_INPUT


class NotFoundError(UserError):
    code = ErrorCode.NOT_FOUND


class NotAllowedError(UserError):
    code = ErrorCode.NOT_ALLOWED


class OnlinePaymentsOffError(UserError):
    code = ErrorCode.ONLINE_PAYMENTS_OFF


class CardUnusableError(UserError):
    code = ErrorCode.CARD_UNUSABLE


class NothingToPayError(UserError):
    code = ErrorCode.NOTHING_TO_PAY


class AmountChangedError(UserError):
    """The payable amount has changed. Both amounts are in minor units."""

    code = ErrorCode.AMOUNT_CHANGED

    def __init__(self, expected_minor: int, payable_minor: int) -> None:
        super().__init__("The payable amount has changed: show the new amount, and ask again.")
        self.expected_minor, self.payable_minor = expected_minor, payable_minor


class AmountTooSmallError(UserError):
    """The amount is below the smallest charge, in minor units: None if Stripe publishes none."""

    code = ErrorCode.AMOUNT_TOO_SMALL

    def __init__(self, minimum_minor: int | None) -> None:
        super().__init__("This is less than a card can be charged.")
        self.minimum_minor = minimum_minor


class AmountTooLargeError(UserError):
    """The amount is above the largest charge, in minor units."""

    code = ErrorCode.AMOUNT_TOO_LARGE

    def __init__(self, maximum_minor: int) -> None:
        super().__init__("This is more than a card can be charged at once.")
        self.maximum_minor = maximum_minor


class PaymentsUnavailableError(UserError):
    """Stripe refused to start a payment for a reason that only the practice can fix."""

    code = ErrorCode.PAYMENTS_UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(
            "The practice's card payments don't work at the moment. Nothing was charged: ask the"
            " practice."
        )


class PaymentInProgressError(UserError):
    code = ErrorCode.PAYMENT_IN_PROGRESS

    def __init__(self, payment_id: str) -> None:
        super().__init__("Another payment is under way: wait until it has ended.")
        self.payment_id = payment_id


class AnotherPersonPaysError(UserError):
    code = ErrorCode.PAYMENT_IN_PROGRESS

    def __init__(self) -> None:
        super().__init__("Another person is paying at the moment: wait until that has ended.")


class IdempotencyKeyReusedError(UserError):
    code = ErrorCode.IDEMPOTENCY_KEY_REUSED


class TooManyAttemptsError(UserError):
    code = ErrorCode.TOO_MANY_ATTEMPTS

    def __init__(
        self,
        retry_at: dt.datetime,
        message: str = "Too many cards were declined. Try again later.",
    ) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class CardRefusedError(UserError):
    """The bank refused a card. The reason is given as far as it may be disclosed."""

    code = ErrorCode.CARD_REFUSED

    def __init__(self, reason: DeclineReason) -> None:
        super().__init__(DECLINE_MESSAGES[reason], ("input", "setupIntentId"))
        self.reason = reason


class CardRemovalOffError(UserError):
    code = ErrorCode.CARD_REMOVAL_OFF


class ReplacementNeededError(UserError):
    code = ErrorCode.REPLACEMENT_NEEDED


class SignInLinkInvalidError(UserError):
    """A sign-in link doesn't work. The text is the same for every cause, so that it doesn't reveal
    which secrets exist.

    `lasts` is the time for which a link works.
    """

    code = ErrorCode.SIGN_IN_LINK_INVALID

    def __init__(self, lasts: dt.timedelta) -> None:
        minutes = lasts // dt.timedelta(minutes=1)
        super().__init__(
            "This link doesn't sign you in here. Open it in the browser that you asked from, type"
            " the mail's code there, or ask for a new mail: a link works once, for"
            f" {minutes} minutes."
        )


class SignInCodeInvalidError(UserError):
    """A sign-in code doesn't work. The text is the same for every cause.

    `tries_left` is the number of further tries.
    """

    code = ErrorCode.SIGN_IN_CODE_INVALID

    def __init__(self, tries_left: int) -> None:
        super().__init__(
            "This code doesn't sign you in. Type the code from the mail that you requested here."
            if tries_left
            else "This code doesn't sign you in, and there are no tries left: ask for a new mail.",
            ("input", "code"),
        )
        self.tries_left = tries_left


# -- entries of the practice -----------------------------------------------------------------------


class AlreadyInvoicedError(UserError):
    code = ErrorCode.ALREADY_INVOICED


class InvoiceIsVoidError(UserError):
    code = ErrorCode.INVOICE_IS_VOID


class ExceedsAmountDueError(UserError):
    code = ErrorCode.EXCEEDS_AMOUNT_DUE


class ExceedsFundsError(UserError):
    code = ErrorCode.EXCEEDS_FUNDS


class ExceedsPaymentError(UserError):
    code = ErrorCode.EXCEEDS_PAYMENT


class PaidByCardError(UserError):
    code = ErrorCode.PAID_BY_CARD


class NumberTakenError(UserError):
    code = ErrorCode.NUMBER_TAKEN


class ChangedAfterEntryError(UserError):
    code = ErrorCode.CHANGED_AFTER_ENTRY
