"""Where something is changed: paying."""

from typing import Annotated

import strawberry

from graph.inputs import CancelPaymentInput, PayInput, RefreshPaymentInput
from graph.outcomes import PayResult
from resolvers import paying
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
