"""Results of the mutations of cards on file."""

from typing import Annotated

import strawberry

from billing.errors import ErrorCode
from graph.fields import field
from graph.mutations.payment_results import (
    CardUnusable,
    InvalidInput,
    NotAllowed,
    NotFound,
    OnlinePaymentsOff,
    TooManyAttempts,
    UserError,
    code,
    message,
    path,
)
from graph.types.client import Client
from graph.types.payment_method import PaymentMethod
from models import DeclineReason
from planner.outcome import OutcomeRow
from planner.sources import ToOne, Value
from resolvers import clients, online_payments, payment_methods
from resolvers.field_facts import NO_SCOPE, needs

card = field(ToOne(payment_methods.of_outcome), description="The current state of the card.")
client = field(ToOne(clients.of_result), description="The client, with the current cards.")


@needs(NO_SCOPE)
@strawberry.type(
    description="The form can be shown. After Stripe.js has confirmed it, call `addCard`. A client"
    " may have three open forms at a time: another one closes the oldest, and `addCard` for the"
    " closed form returns `InvalidInput`."
)
class CardPrepared:
    setup_intent_id: str = field(
        Value[OutcomeRow](lambda outcome: outcome.text("setup_intent_id")),
        description="The value to pass to `addCard`.",
        scopes=NO_SCOPE,
    )
    client_secret: str = field(
        Value[OutcomeRow](lambda outcome: outcome.text("client_secret")),
        description="The secret for Stripe.js: `stripe.confirmSetup({elements, clientSecret})`.",
        scopes=NO_SCOPE,
    )
    publishable_key: str = field(
        Value(online_payments.page_key),
        description="The key to initialize Stripe.js with.",
        scopes=NO_SCOPE,
    )


@needs(NO_SCOPE)
@strawberry.type(description="The card is on file.")
class CardAdded:
    payment_method: PaymentMethod = card
    was_already_kept: bool = field(
        Value[OutcomeRow](lambda outcome: outcome.boolean("was_on_file")),
        description="Whether the card was already on file, and was updated.",
    )
    client: Client = client


@strawberry.type(description="The bank refused the card. Start again with `prepareCard`.")
class CardRefused(UserError):
    reason: DeclineReason = field(
        Value[OutcomeRow](lambda outcome: outcome.text("reason")),
        description="The reason, as far as it may be disclosed.",
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@needs(NO_SCOPE)
@strawberry.type(description="The card is the Default Card.")
class DefaultMade:
    payment_method: PaymentMethod = card
    client: Client = client


@needs(NO_SCOPE)
@strawberry.type(description="The card is no longer on file.")
class CardRemoved:
    client: Client = client


@needs(NO_SCOPE)
@strawberry.type(description="The card is shared with others who may pay for the client.")
class CardShared:
    payment_method: PaymentMethod = card
    client: Client = client


@needs(NO_SCOPE)
@strawberry.type(description="The card is shared no longer.")
class CardUnshared:
    payment_method: PaymentMethod = card
    client: Client = client


@strawberry.type(description="The practice does not let clients remove cards.")
class CardRemovalOff(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="The Default Card cannot be removed while there are other cards, unless"
    " `replacementId` names the next Default Card."
)
class ReplacementNeeded(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


PrepareCardResult = Annotated[
    CardPrepared | OnlinePaymentsOff | NotAllowed | NotFound | TooManyAttempts | InvalidInput,
    strawberry.union("PrepareCardResult", description="The result of `prepareCard`."),
]
AddCardResult = Annotated[
    CardAdded
    | CardRefused
    | OnlinePaymentsOff
    | NotAllowed
    | NotFound
    | InvalidInput
    | TooManyAttempts,
    strawberry.union("AddCardResult", description="The result of `addCard`."),
]
MakeDefaultResult = Annotated[
    DefaultMade | CardUnusable | NotFound | NotAllowed,
    strawberry.union("MakeDefaultResult", description="The result of `makeDefault`."),
]
ShareCardResult = Annotated[
    CardShared | NotFound | NotAllowed,
    strawberry.union("ShareCardResult", description="The result of `shareCard`."),
]
UnshareCardResult = Annotated[
    CardUnshared | NotFound | NotAllowed,
    strawberry.union("UnshareCardResult", description="The result of `unshareCard`."),
]
RemoveCardResult = Annotated[
    CardRemoved | CardRemovalOff | ReplacementNeeded | NotFound | NotAllowed,
    strawberry.union("RemoveCardResult", description="The result of `removeCard`."),
]
