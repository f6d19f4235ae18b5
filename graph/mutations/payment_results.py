"""Results of mutations: outcomes and refusals, each a type in a union."""

import datetime as dt
from typing import Annotated, Any

import strawberry
from sqlalchemy import BigInteger

from billing.errors import ErrorCode
from graph.fields import field
from graph.types.client import Client
from graph.types.money import Money
from graph.types.payment import Payment
from models import DeclineReason
from planner.outcome import OutcomeRow
from planner.sources import Embedded, ToOne, Value
from resolvers import clients, payments
from resolvers.field_facts import BILLING, NO_SCOPE, needs
from resolvers.money import Amount

payment = field(ToOne(payments.of_outcome), description="The current state of the payment.")
client = field(ToOne(clients.of_outcome), description="The current state of the client.")
code = field(
    Value[OutcomeRow](lambda outcome: outcome.text("code")), description="The code of this refusal."
)
message = field(
    Value[OutcomeRow](lambda outcome: outcome.text("message")),
    description="The reason in words, for a person.",
    scopes=NO_SCOPE,
)
path = field(
    Value[OutcomeRow](lambda outcome: outcome.text("path")),
    description="The path to the invalid input field, beginning with `input`; null if the refusal"
    " is not about a field.",
    scopes=NO_SCOPE,
)


def amount_field(name: str, description: str) -> Any:
    return field(
        Embedded[OutcomeRow](lambda outcome: Amount(outcome.value(name, BigInteger()))),
        description=description,
    )


@needs(NO_SCOPE)
@strawberry.interface(
    description="A refusal: nothing was started. Always select `... on UserError`."
)
class UserError:
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@needs(NO_SCOPE)
@strawberry.interface(description="The outcome of a payment that was started.")
class PaymentOutcome:
    payment: Payment = payment


@strawberry.type(description="The money moved, or unused credit covered the amount.")
class PaySucceeded(PaymentOutcome):
    payment: Payment = payment
    client: Client = client


@strawberry.type(
    description="The cardholder has to confirm the payment to the bank. Then call `refreshPayment`."
)
class PayRequiresAction(PaymentOutcome):
    payment: Payment = payment
    client_secret: str = field(
        Value[OutcomeRow](lambda outcome: outcome.text("client_secret")),
        description="The secret for Stripe.js: `stripe.handleNextAction({clientSecret})`.",
        scopes=NO_SCOPE,
    )


@strawberry.type(
    description="The outcome is not known yet. Call `refreshPayment`, or send the same input with"
    " the same key again."
)
class PayProcessing(PaymentOutcome):
    payment: Payment = payment
    retry_after_seconds: int = field(
        Value[OutcomeRow](lambda outcome: outcome.number("retry_after_s")),
        description="The number of seconds to wait before the next request.",
    )


@strawberry.type(description="The payment was canceled; nothing was charged.")
class PayCanceled(PaymentOutcome):
    payment: Payment = payment


@strawberry.type(
    description="The bank refused the card: the payment failed, and nothing was charged. Another"
    " attempt is another payment, with a new key."
)
class CardDeclined(PaymentOutcome, UserError):
    payment: Payment = payment
    reason: DeclineReason = field(
        Value[OutcomeRow](lambda outcome: outcome.text("reason")),
        description="The reason, as far as it may be disclosed.",
    )
    is_retryable: bool = field(
        Value[OutcomeRow](lambda outcome: outcome.boolean("is_retryable")),
        description="Whether the same card may work once the problem is corrected.",
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@needs(BILLING)
@strawberry.type(
    description="The payable amount differs from the amount that the page showed; nothing was"
    " charged."
)
class AmountChanged(UserError):
    expected: Money = amount_field("expected", "The amount that was sent.")
    payable: Money = amount_field(
        "payable", "The amount that is payable now. Show it to the user, then send it."
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The payable amount is less than a card can be charged.")
class AmountTooSmall(UserError):
    minimum: Money | None = field(
        Embedded[OutcomeRow](
            lambda outcome: Amount(outcome.value("minimum", BigInteger())),
            when=lambda outcome: outcome.value("minimum", BigInteger()).is_not(None),
        ),
        description="The smallest amount that a card can be charged; null if Stripe publishes none"
        " for the practice's currency.",
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The payable amount is more than a card can be charged at once.")
class AmountTooLarge(UserError):
    maximum: Money = amount_field(
        "maximum", "The largest amount that a card can be charged at once."
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="Stripe refused to start the payment, for a reason that only the practice can"
    " resolve. Nothing was charged."
)
class PaymentsUnavailable(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="Another payment of the client is in progress.")
class PaymentInProgress(UserError):
    payment: Payment = payment
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="Another person is paying for the client at the moment. Only that person can"
    " continue or cancel the payment: try again once it has ended, after half an hour at most."
)
class AnotherPersonPays(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="Too many recent attempts: declined cards of the client or from the network"
    " address, card forms opened, or wrong codes typed for an e-mail address."
)
class TooManyAttempts(UserError):
    retry_at: dt.datetime = field(
        Value[OutcomeRow](lambda outcome: outcome.text("retry_at")),
        description="The time of the next possible attempt.",
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


@strawberry.type(description="The card on file has expired, or is on file no longer.")
class CardUnusable(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The key was already used for another request.")
class IdempotencyKeyReused(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The object does not exist, or the viewer has no access to it.")
class NotFound(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="The viewer has access to the object, but may not perform this action."
)
class NotAllowed(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="An argument is wrong; `path` names it.")
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
    | AnotherPersonPays
    | OnlinePaymentsOff
    | CardUnusable
    | IdempotencyKeyReused
    | TooManyAttempts
    | NotFound
    | NotAllowed
    | InvalidInput,
    strawberry.union(
        "PayResult",
        description="The result of `pay`, `refreshPayment` or `cancelPayment`. More members"
        " may be added.",
    ),
]
