"""What the mutations of cards on file come to."""

from typing import Annotated

import strawberry

from billing.refusals import ErrorCode
from graph.card import PaymentMethod
from graph.client import Client
from graph.outcomes import (
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
from models import DeclineReason
from resolvers import cards, clients, online
from resolvers.planner.sources import One, Value, field

card = field(One(cards.of_outcome), description="The card, as it is now.")
client = field(One(clients.told), description="Whose cards they are, as they are now.")


@strawberry.type(
    description="A form can be shown. Confirm it by Stripe.js, then: `addCard`. Three forms of a"
    " client are open at a time: another one closes the oldest, and `addCard` then answers"
    " `InvalidInput`."
)
class CardPrepared:
    setup_intent_id: str = field(
        Value(lambda outcome: outcome.text("setup_intent_id")), description="What `addCard` takes."
    )
    client_secret: str = field(
        Value(lambda outcome: outcome.text("client_secret")),
        description="What Stripe.js confirms: `stripe.confirmSetup({elements, clientSecret})`.",
    )
    publishable_key: str = field(
        Value(online.page_key), description="What Stripe.js is started with."
    )


@strawberry.type(description="The card is on file.")
class CardAdded:
    payment_method: PaymentMethod = card
    was_already_kept: bool = field(
        Value(lambda outcome: outcome.truth("was_on_file")),
        description="Whether the same card was on file before; it is brought up to date then.",
    )
    client: Client = client


@strawberry.type(description="The bank refused the card. Begin again with `prepareCard`.")
class CardRefused(UserError):
    reason: DeclineReason = field(
        Value(lambda outcome: outcome.text("reason")), description="Why, as far as it may be told."
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The card is the Default Card.")
class DefaultMade:
    payment_method: PaymentMethod = card
    client: Client = client


@strawberry.type(description="The card is on file no more.")
class CardRemoved:
    client: Client = client


@strawberry.type(description="The practice doesn't let clients remove cards.")
class CardRemovalOff(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="The Default Card is to be removed while there are others: name the next by"
    " `replacementId`."
)
class ReplacementNeeded(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


PrepareCardResult = Annotated[
    CardPrepared | OnlinePaymentsOff | NotAllowed | NotFound | TooManyAttempts | InvalidInput,
    strawberry.union("PrepareCardResult", description="Whether a card can be kept."),
]
AddCardResult = Annotated[
    CardAdded
    | CardRefused
    | OnlinePaymentsOff
    | NotAllowed
    | NotFound
    | InvalidInput
    | TooManyAttempts,
    strawberry.union("AddCardResult", description="What keeping a card came to."),
]
MakeDefaultResult = Annotated[
    DefaultMade | CardUnusable | NotFound | NotAllowed,
    strawberry.union("MakeDefaultResult", description="What choosing a default came to."),
]
RemoveCardResult = Annotated[
    CardRemoved | CardRemovalOff | ReplacementNeeded | NotFound | NotAllowed,
    strawberry.union("RemoveCardResult", description="What removing a card came to."),
]
