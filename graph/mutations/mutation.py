"""The root type of write operations: paying, cards on file, entries of the practice's programs, and
signing in.
"""

import strawberry

from graph.fields import field
from graph.mutations.card_results import (
    AddCardResult,
    MakeDefaultResult,
    PrepareCardResult,
    RemoveCardResult,
    ShareCardResult,
    UnshareCardResult,
)
from graph.mutations.entry_mutations import EntryMutation
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
    ShareCardInput,
    SignInInput,
    SignInWithCodeInput,
    SwitchViewerInput,
    UnshareCardInput,
)
from graph.mutations.mutation_field import mutation
from graph.mutations.payment_results import PayResult
from graph.mutations.sign_in_results import (
    RequestSignInLinkPayload,
    RevokeSignInResult,
    SignInResult,
    SignInWithCodeResult,
    SignOutPayload,
    SwitchViewerResult,
)
from resolvers.field_facts import BILLING, NO_SCOPE
from resolvers.mutations import cards, payments
from resolvers.mutations import sign_in as sign_in_mutations
from resolvers.mutations.field import PortalMutation


@strawberry.type(
    description="Write operations. Fields run one after another, each committed before the next;"
    " then the results of all fields are read in one SQL statement."
)
class Mutation(EntryMutation):
    pay: PayResult | None = mutation(
        payments.pay,
        PayInput,
        "What to pay, and with which source.",
        moves_money=True,
        description="Pay the balance, or one invoice. Requests with the same key are charged once;"
        " after a decline, generate a new key.",
        scopes=BILLING,
    )

    refresh_payment: PayResult | None = mutation(
        payments.refresh_payment,
        RefreshPaymentInput,
        "The payment to refresh.",
        description="Get the current state of a payment, after the cardholder has confirmed it or"
        " when the response was lost.",
        scopes=BILLING,
    )

    cancel_payment: PayResult | None = mutation(
        payments.cancel_payment,
        CancelPaymentInput,
        "The payment to cancel.",
        description="Cancel a payment that waits for the cardholder. If the money has already"
        " moved, the payment succeeds.",
        scopes=BILLING,
    )

    prepare_card: PrepareCardResult | None = mutation(
        cards.prepare_card,
        PrepareCardInput,
        "The client that the card is for.",
        description="Start saving a card on file: returns the values that Stripe.js needs to show"
        " its form.",
        scopes=BILLING,
    )

    add_card: AddCardResult | None = mutation(
        cards.add_card,
        AddCardInput,
        "The card to save.",
        description="Save the card that Stripe.js has confirmed. A card that is already on file is"
        " updated instead of saved twice. Sending the same input again gets the same response.",
        scopes=BILLING,
    )

    make_default: MakeDefaultResult | None = mutation(
        cards.make_card_default,
        MakeDefaultInput,
        "The next Default Card.",
        description="Make one of the viewer's cards on file their Default Card for its client."
        " There is always exactly one.",
        scopes=BILLING,
    )

    share_card: ShareCardResult | None = mutation(
        cards.share_card,
        ShareCardInput,
        "The card to share.",
        description="Let others who may pay for the card's client see and use one of the viewer's"
        " cards. They see neither the cardholder's name nor the postal code, and can neither change"
        " nor remove the card.",
        scopes=BILLING,
    )

    unshare_card: UnshareCardResult | None = mutation(
        cards.unshare_card,
        UnshareCardInput,
        "The card to share no longer.",
        description="Let others see and use one of the viewer's cards no longer. A payment that has"
        " begun goes on.",
        scopes=BILLING,
    )

    remove_card: RemoveCardResult | None = mutation(
        cards.remove_card,
        RemoveCardInput,
        "The card to remove.",
        description="Remove one of the viewer's cards, if the practice lets clients do so. While"
        " there are other cards, the Default Card needs a replacement.",
        scopes=BILLING,
    )

    # -- signing in --------------------------------------------------------------------------------

    request_sign_in_link: RequestSignInLinkPayload | None = mutation(
        sign_in_mutations.request_link,
        RequestSignInLinkInput,
        "The address to send the mail to.",
        is_public=True,
        description="Request a mail to sign in with. Needs no token. The response is the same for"
        " an unknown address. If a practice knows the address, a mail is sent to it, with a link"
        " and a code for each such practice. An address gets up to four mails at once, then one"
        " per lifetime of a link (`SIGN_IN_MINUTES`).",
        scopes=NO_SCOPE,
    )

    sign_in: SignInResult | None = mutation(
        sign_in_mutations.sign_in,
        SignInInput,
        "The link to sign in with.",
        is_public=True,
        alone=True,
        description="Sign in with the link of a mail, in the browser that requested it. A link"
        " works once; within a minute, the same secret and nonce get the same response again, in"
        " case it was lost. Needs no token. Must be the only field of its operation.",
        scopes=NO_SCOPE,
    )

    sign_in_with_code: SignInWithCodeResult | None = mutation(
        sign_in_mutations.sign_in_with_code,
        SignInWithCodeInput,
        "The code to sign in with.",
        is_public=True,
        alone=True,
        description="Sign in with the code of a mail, in the page that requested this mail; the"
        " mail may be read on another device. A request allows five attempts, and an address ten,"
        " then one a day. Needs no token. Must be the only field of its operation.",
        scopes=NO_SCOPE,
    )

    switch_viewer: SwitchViewerResult | None = mutation(
        sign_in_mutations.switch_viewer,
        SwitchViewerInput,
        "The identity to continue as.",
        alone=True,
        description="Continue the sign-in as another person with the same e-mail address in this"
        " practice: for example, a mother may be a client herself and the guardian of another"
        " client. The token stays the same. Must be the only field of its operation.",
        scopes=NO_SCOPE,
    )

    sign_out: SignOutPayload | None = field(
        PortalMutation(sign_in_mutations.sign_out),
        description="End the sign-in of this request: its token stops working.",
        scopes=NO_SCOPE,
    )

    revoke_sign_in: RevokeSignInResult | None = mutation(
        sign_in_mutations.revoke_sign_in,
        RevokeSignInInput,
        "The sign-in to end.",
        description="End one of the viewer's own sign-ins: its token stops working everywhere.",
        scopes=NO_SCOPE,
    )
