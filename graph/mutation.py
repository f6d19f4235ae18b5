"""Where something is changed: paying, and cards on file."""

from typing import Annotated

import strawberry

from graph.card_outcomes import (
    AddCardResult,
    MakeDefaultResult,
    PrepareCardResult,
    RemoveCardResult,
)
from graph.inputs import (
    AddCardInput,
    CancelPaymentInput,
    MakeDefaultInput,
    PayInput,
    PrepareCardInput,
    RefreshPaymentInput,
    RemoveCardInput,
)
from graph.outcomes import PayResult
from resolvers import changing, paying
from resolvers.planner.sources import Mutated, planned


@strawberry.type(
    description="Changing. Each field is done and committed before the next; what it gives back is"
    " read after that, of all fields in one statement."
)
class Mutation:
    @planned(
        Mutated(paying.pay),
        description="Pays the balance, or one invoice. Charged once, however often it is sent with"
        " the same key; after a decline make a new key.",
    )
    def pay(
        self, input: Annotated[PayInput, strawberry.argument(description="What, and how.")]
    ) -> PayResult:
        raise AssertionError("its source answers")

    @planned(
        Mutated(paying.refresh),
        description="Asks how a payment stands, after the cardholder has confirmed it or when the"
        " answer was lost.",
    )
    def refresh_payment(
        self,
        input: Annotated[RefreshPaymentInput, strawberry.argument(description="Which payment.")],
    ) -> PayResult:
        raise AssertionError("its source answers")

    @planned(
        Mutated(paying.cancel),
        description="Gives up a payment that waits for the cardholder. If the money moved first, it"
        " succeeded.",
    )
    def cancel_payment(
        self,
        input: Annotated[CancelPaymentInput, strawberry.argument(description="Which payment.")],
    ) -> PayResult:
        raise AssertionError("its source answers")

    @planned(
        Mutated(changing.prepare),
        description="Begins to keep a card: gives what Stripe.js shows its form for.",
    )
    def prepare_card(
        self, input: Annotated[PrepareCardInput, strawberry.argument(description="Whose.")]
    ) -> PrepareCardResult:
        raise AssertionError("its source answers")

    @planned(
        Mutated(changing.add),
        description="Keeps the card that Stripe.js has confirmed. The same card twice is one card,"
        " brought up to date; sent again, it is the same answer.",
    )
    def add_card(
        self, input: Annotated[AddCardInput, strawberry.argument(description="Which card.")]
    ) -> AddCardResult:
        raise AssertionError("its source answers")

    @planned(
        Mutated(changing.make_default),
        description="Makes a card on file the Default Card: there is always exactly one.",
    )
    def make_default(
        self, input: Annotated[MakeDefaultInput, strawberry.argument(description="Which card.")]
    ) -> MakeDefaultResult:
        raise AssertionError("its source answers")

    @planned(
        Mutated(changing.remove),
        description="Takes a card off file, where the practice lets clients do that. The Default"
        " Card needs a replacement while there are others.",
    )
    def remove_card(
        self, input: Annotated[RemoveCardInput, strawberry.argument(description="Which card.")]
    ) -> RemoveCardResult:
        raise AssertionError("its source answers")
