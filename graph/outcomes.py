"""What mutations come to: outcomes and refusals, each a type of its own in a union."""

import datetime as dt
from typing import Annotated, Any

import strawberry
from sqlalchemy import BigInteger

from billing.refusals import ErrorCode
from graph.client import Client
from graph.money import Money, money
from graph.payment import Payment
from models import DeclineReason
from resolvers import clients, payments
from resolvers.money import Amount
from resolvers.planner.sources import One, Part, Value, field

payment = field(One(payments.of_outcome), description="The payment, as it is now.")
client = field(One(clients.of_outcome), description="Whose it is, as it is now.")
code = field(Value(lambda outcome: outcome.text("code")), description="Of this refusal.")
message = field(
    Value(lambda outcome: outcome.text("message")), description="Why, in words for a person."
)
path = field(
    Value(lambda outcome: outcome.text("path")),
    description="The input to blame, if one is: its names from `input` on.",
)


def amount(name: str, description: str) -> Any:
    return money(lambda outcome: Amount(outcome.value(name, BigInteger())), description)


@strawberry.interface(description="A refusal: nothing was begun. Always select `... on UserError`.")
class UserError:
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.interface(description="Something was begun.")
class PaymentOutcome:
    payment: Payment = payment


@strawberry.type(description="The money moved, or credit covered it.")
class PaySucceeded(PaymentOutcome):
    payment: Payment = payment
    client: Client = client


@strawberry.type(
    description="The cardholder has to confirm it to the bank. Afterwards: `refreshPayment`."
)
class PayRequiresAction(PaymentOutcome):
    payment: Payment = payment
    client_secret: str = field(
        Value(lambda outcome: outcome.text("client_secret")),
        description="What Stripe.js goes on with: `stripe.handleNextAction({clientSecret})`.",
    )


@strawberry.type(
    description="Nobody knows yet how it ends: ask again, by `refreshPayment` or with the same key."
)
class PayProcessing(PaymentOutcome):
    payment: Payment = payment
    retry_after_seconds: int = field(
        Value(lambda outcome: outcome.number("retry_after_s")),
        description="How long to wait before asking again.",
    )


@strawberry.type(description="It was given up; nothing was charged.")
class PayCanceled(PaymentOutcome):
    payment: Payment = payment


@strawberry.type(
    description="The bank refused the card: the payment failed, and nothing was charged. Another"
    " try is another payment, with a new key."
)
class CardDeclined(PaymentOutcome, UserError):
    payment: Payment = payment
    reason: DeclineReason = field(
        Value(lambda outcome: outcome.text("reason")), description="Why, as far as it may be told."
    )
    is_retryable: bool = field(
        Value(lambda outcome: outcome.truth("is_retryable")),
        description="Whether the same card may work once what was wrong is put right.",
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="What is payable isn't what the page showed; nothing was charged.")
class AmountChanged(UserError):
    expected: Money = amount("expected", "What was sent.")
    payable: Money = amount("payable", "What is payable now. Show it, and ask with it.")
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The payable amount is less than a card can be charged.")
class AmountTooSmall(UserError):
    minimum: Money | None = field(
        Part(
            lambda outcome: Amount(outcome.value("minimum", BigInteger())),
            when=lambda outcome: outcome.value("minimum", BigInteger()).is_not(None),
        ),
        description="The smallest amount that a card can be charged. Null where Stripe publishes"
        " none for the practice's currency.",
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The payable amount is more than a card can be charged at once.")
class AmountTooLarge(UserError):
    maximum: Money = amount("maximum", "The largest amount that a card can be charged at once.")
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="Stripe refused to begin the payment for a reason that only the practice can mend."
    " Nothing was charged."
)
class PaymentsUnavailable(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="Another payment of the client is under way.")
class PaymentInProgress(UserError):
    payment: Payment = payment
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="Too many cards were declined of late, of the client or from there; too many forms"
    " for cards were opened; or too many wrong codes were typed for an e-mail address."
)
class TooManyAttempts(UserError):
    retry_at: dt.datetime = field(
        Value(lambda outcome: outcome.text("retry_at")), description="When to try again."
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="Nothing is due.")
class NothingToPay(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The practice takes no payments online.")
class OnlinePaymentsOff(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The card on file has expired.")
class CardUnusable(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The key was sent before, with another request.")
class IdempotencyKeyReused(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="There is no such thing in sight.")
class NotFound(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="It is in sight, but this viewer may not do that.")
class NotAllowed(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="An argument is wrong; `path` says which.")
class InvalidInput(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


PayResult = Annotated[
    PaySucceeded
    | PayRequiresAction
    | PayProcessing
    | PayCanceled
    | CardDeclined
    | AmountChanged
    | AmountTooSmall
    | AmountTooLarge
    | PaymentsUnavailable
    | NothingToPay
    | PaymentInProgress
    | OnlinePaymentsOff
    | CardUnusable
    | IdempotencyKeyReused
    | TooManyAttempts
    | NotFound
    | NotAllowed
    | InvalidInput,
    strawberry.union("PayResult", description="What paying came to. It may get more members."),
]
