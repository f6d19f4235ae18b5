"""Where something is changed: paying, cards on file, and signing in."""

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
    RequestSignInLinkInput,
    RevokeSignInInput,
    SignInInput,
    SignInWithCodeInput,
    SwitchViewerInput,
)
from graph.outcomes import PayResult
from graph.sign_in_outcomes import (
    RequestSignInLinkPayload,
    RevokeSignInResult,
    SignInResult,
    SignInWithCodeResult,
    SignOutPayload,
    SwitchViewerResult,
)
from resolvers import changing, paying, signing_in
from resolvers.planner.sources import Mutated, planned


@strawberry.type(
    description="Changing. Each field is done and committed before the next; what it gives back is"
    " read after that, of all fields in one statement."
)
class Mutation:
    @planned(
        Mutated(paying.pay, moves_money=True),
        description="Pays the balance, or one invoice. Charged once, however often it is sent with"
        " the same key; after a decline make a new key.",
    )
    def pay(
        self, input: Annotated[PayInput, strawberry.argument(description="What, and how.")]
    ) -> PayResult | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(paying.refresh),
        description="Asks how a payment stands, after the cardholder has confirmed it or when the"
        " answer was lost.",
    )
    def refresh_payment(
        self,
        input: Annotated[RefreshPaymentInput, strawberry.argument(description="Which payment.")],
    ) -> PayResult | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(paying.cancel),
        description="Gives up a payment that waits for the cardholder. If the money moved first, it"
        " succeeded.",
    )
    def cancel_payment(
        self,
        input: Annotated[CancelPaymentInput, strawberry.argument(description="Which payment.")],
    ) -> PayResult | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(changing.prepare),
        description="Begins to keep a card: gives what Stripe.js shows its form for.",
    )
    def prepare_card(
        self, input: Annotated[PrepareCardInput, strawberry.argument(description="Whose.")]
    ) -> PrepareCardResult | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(changing.add),
        description="Keeps the card that Stripe.js has confirmed. The same card twice is one card,"
        " brought up to date; sent again, it is the same answer.",
    )
    def add_card(
        self, input: Annotated[AddCardInput, strawberry.argument(description="Which card.")]
    ) -> AddCardResult | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(changing.make_default),
        description="Makes a card on file the Default Card: there is always exactly one.",
    )
    def make_default(
        self, input: Annotated[MakeDefaultInput, strawberry.argument(description="Which card.")]
    ) -> MakeDefaultResult | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(changing.remove),
        description="Takes a card off file, where the practice lets clients do that. The Default"
        " Card needs a replacement while there are others.",
    )
    def remove_card(
        self, input: Annotated[RemoveCardInput, strawberry.argument(description="Which card.")]
    ) -> RemoveCardResult | None:
        raise AssertionError("its source answers")

    # -- signing in --------------------------------------------------------------------------------

    @planned(
        Mutated(signing_in.request, by_nobody=True),
        description="Asks for a mail to sign in with. Needs no token. The answer is the same if"
        " nobody has this address. If a practice knows the address, a mail goes to it, with a link"
        " and a code for each such practice. Four mails go to an address at once, and then one each"
        " time that a link would have expired (`SIGN_IN_MINUTES`).",
    )
    def request_sign_in_link(
        self,
        input: Annotated[RequestSignInLinkInput, strawberry.argument(description="To whom.")],
    ) -> RequestSignInLinkPayload | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(signing_in.sign_in, by_nobody=True, alone=True),
        description="Signs in with the link of a mail, in the browser that asked for it. A link"
        " works once; within a minute the same secret and nonce get the same answer again, in case"
        " it was lost. Needs no token, and is the only field of its operation.",
    )
    def sign_in(
        self, input: Annotated[SignInInput, strawberry.argument(description="By which link.")]
    ) -> SignInResult | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(signing_in.sign_in_with_code, by_nobody=True, alone=True),
        description="Signs in with the code of a mail, in the page that asked for this mail; the"
        " mail may be read elsewhere. Five codes may be tried for a request, and ten for an"
        " address, and then one a day. Needs no token, and is the only field of its operation.",
    )
    def sign_in_with_code(
        self,
        input: Annotated[SignInWithCodeInput, strawberry.argument(description="The code.")],
    ) -> SignInWithCodeResult | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(signing_in.switch, alone=True),
        description="Continues the sign-in as another person who has its e-mail address in this"
        " practice: a mother who is a client, and the guardian of another. The token stays the"
        " same. Is the only field of its operation.",
    )
    def switch_viewer(
        self,
        input: Annotated[SwitchViewerInput, strawberry.argument(description="Who to continue as.")],
    ) -> SwitchViewerResult | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(signing_in.sign_out),
        description="Ends the sign-in that the request is made with: its token works no more.",
    )
    def sign_out(self) -> SignOutPayload | None:
        raise AssertionError("its source answers")

    @planned(
        Mutated(signing_in.revoke),
        description="Ends one of the viewer's own sign-ins: its token works no more, anywhere.",
    )
    def revoke_sign_in(
        self, input: Annotated[RevokeSignInInput, strawberry.argument(description="Which one.")]
    ) -> RevokeSignInResult | None:
        raise AssertionError("its source answers")
