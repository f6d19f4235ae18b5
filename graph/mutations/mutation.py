"""The root type of write operations: paying, cards on file, and signing in."""

from typing import Annotated

import strawberry

from graph.mutations.card_results import (
    AddCardResult,
    MakeDefaultResult,
    PrepareCardResult,
    RemoveCardResult,
)
from graph.mutations.inputs import (
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
from graph.mutations.payment_results import PayResult
from graph.mutations.sign_in_results import (
    RequestSignInLinkPayload,
    RevokeSignInResult,
    SignInResult,
    SignInWithCodeResult,
    SignOutPayload,
    SwitchViewerResult,
)
from planner.sources import field_with_arguments
from resolvers.mutations import cards, payments
from resolvers.mutations import sign_in as sign_in_mutations
from resolvers.mutations.field import PortalMutation


@strawberry.type(
    description="Write operations. Fields run one after another, each committed before the next;"
    " then the results of all fields are read in one SQL statement."
)
class Mutation:
    @field_with_arguments(
        PortalMutation(payments.pay, moves_money=True),
        description="Pay the balance, or one invoice. Requests with the same key are charged once;"
        " after a decline, generate a new key.",
    )
    def pay(
        self,
        input: Annotated[
            PayInput, strawberry.argument(description="What to pay, and with which source.")
        ],
    ) -> PayResult | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(payments.refresh_payment),
        description="Get the current state of a payment, after the cardholder has confirmed it or"
        " when the response was lost.",
    )
    def refresh_payment(
        self,
        input: Annotated[
            RefreshPaymentInput, strawberry.argument(description="The payment to refresh.")
        ],
    ) -> PayResult | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(payments.cancel_payment),
        description="Cancel a payment that waits for the cardholder. If the money has already"
        " moved, the payment succeeds.",
    )
    def cancel_payment(
        self,
        input: Annotated[
            CancelPaymentInput, strawberry.argument(description="The payment to cancel.")
        ],
    ) -> PayResult | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(cards.prepare_card),
        description="Start saving a card on file: returns the values that Stripe.js needs to show"
        " its form.",
    )
    def prepare_card(
        self,
        input: Annotated[
            PrepareCardInput, strawberry.argument(description="The client that the card is for.")
        ],
    ) -> PrepareCardResult | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(cards.add_card),
        description="Save the card that Stripe.js has confirmed. A card that is already on file is"
        " updated instead of saved twice. Sending the same input again gets the same response.",
    )
    def add_card(
        self, input: Annotated[AddCardInput, strawberry.argument(description="The card to save.")]
    ) -> AddCardResult | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(cards.make_card_default),
        description="Make a card on file the Default Card. There is always exactly one.",
    )
    def make_default(
        self,
        input: Annotated[
            MakeDefaultInput, strawberry.argument(description="The next Default Card.")
        ],
    ) -> MakeDefaultResult | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(cards.remove_card),
        description="Remove a card from file, if the practice lets clients do so. While there are"
        " other cards, the Default Card needs a replacement.",
    )
    def remove_card(
        self,
        input: Annotated[RemoveCardInput, strawberry.argument(description="The card to remove.")],
    ) -> RemoveCardResult | None:
        raise AssertionError("its source answers")

    # -- signing in --------------------------------------------------------------------------------

    @field_with_arguments(
        PortalMutation(sign_in_mutations.request_link, is_public=True),
        description="Request a mail to sign in with. Needs no token. The response is the same for"
        " an unknown address. If a practice knows the address, a mail is sent to it, with a link"
        " and a code for each such practice. An address gets up to four mails at once, then one"
        " per lifetime of a link (`SIGN_IN_MINUTES`).",
    )
    def request_sign_in_link(
        self,
        input: Annotated[
            RequestSignInLinkInput,
            strawberry.argument(description="The address to send the mail to."),
        ],
    ) -> RequestSignInLinkPayload | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(sign_in_mutations.sign_in, is_public=True, alone=True),
        description="Sign in with the link of a mail, in the browser that requested it. A link"
        " works once; within a minute, the same secret and nonce get the same response again, in"
        " case it was lost. Needs no token. Must be the only field of its operation.",
    )
    def sign_in(
        self,
        input: Annotated[SignInInput, strawberry.argument(description="The link to sign in with.")],
    ) -> SignInResult | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(sign_in_mutations.sign_in_with_code, is_public=True, alone=True),
        description="Sign in with the code of a mail, in the page that requested this mail; the"
        " mail may be read on another device. A request allows five attempts, and an address ten,"
        " then one a day. Needs no token. Must be the only field of its operation.",
    )
    def sign_in_with_code(
        self,
        input: Annotated[
            SignInWithCodeInput, strawberry.argument(description="The code to sign in with.")
        ],
    ) -> SignInWithCodeResult | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(sign_in_mutations.switch_viewer, alone=True),
        description="Continue the sign-in as another person with the same e-mail address in this"
        " practice: for example, a mother may be a client herself and the guardian of another"
        " client. The token stays the same. Must be the only field of its operation.",
    )
    def switch_viewer(
        self,
        input: Annotated[
            SwitchViewerInput, strawberry.argument(description="The identity to continue as.")
        ],
    ) -> SwitchViewerResult | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(sign_in_mutations.sign_out),
        description="End the sign-in of this request: its token stops working.",
    )
    def sign_out(self) -> SignOutPayload | None:
        raise AssertionError("its source answers")

    @field_with_arguments(
        PortalMutation(sign_in_mutations.revoke_sign_in),
        description="End one of the viewer's own sign-ins: its token stops working everywhere.",
    )
    def revoke_sign_in(
        self,
        input: Annotated[RevokeSignInInput, strawberry.argument(description="The sign-in to end.")],
    ) -> RevokeSignInResult | None:
        raise AssertionError("its source answers")
