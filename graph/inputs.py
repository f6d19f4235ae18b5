"""What arguments are made of."""

import datetime as dt

import strawberry

from graph.scalars import CurrencyCode, Decimal
from resolvers import clients, filters, invoices
from resolvers.clients import ClientOrderField
from resolvers.invoices import InvoiceOrderField
from resolvers.orders import OrderDirection


@strawberry.input(
    description="Days from one to another, both included, in the practice's time zone."
    " Either end may be left out; a first day after the last is an error."
)
class DateRange(filters.DateRange):
    gte: dt.date | None = strawberry.field(default=None, description="The first day.")
    lte: dt.date | None = strawberry.field(default=None, description="The last day.")


@strawberry.input(description="How invoices are ordered; the newest first unless said.")
class InvoiceOrder(invoices.InvoiceOrder):
    field: InvoiceOrderField = strawberry.field(
        default=InvoiceOrderField.ISSUED_ON, description="What they are ordered by."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Which end comes first."
    )


@strawberry.input(description="How clients are ordered; by name unless said.")
class ClientOrder(clients.ClientOrder):
    field: ClientOrderField = strawberry.field(
        default=ClientOrderField.NAME, description="What they are ordered by."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Which end comes first."
    )


# -- paying ----------------------------------------------------------------------------------------


@strawberry.input(description="An amount of money.")
class MoneyInput:
    amount: Decimal = strawberry.field(
        description='In major units, with no more decimals than the currency has: `"125.00"`.'
    )
    currency: CurrencyCode = strawberry.field(description="The practice's currency.")


@strawberry.input(description="A card that the practice has not on file.")
class NewCard:
    confirmation_token: str = strawberry.field(
        description="Made in the browser by Stripe.js; it carries the cardholder's name and billing"
        " zip, both required there. Card numbers never reach this server. Works once."
    )
    save_card: bool = strawberry.field(
        default=False,
        description="Keep the card on file. Show `consentText` beside the box: ticking it agrees.",
    )
    make_default: bool = strawberry.field(
        default=False, description="Make it the Default Card; only with `saveCard`."
    )


@strawberry.input(
    description="How to pay: exactly one of these.",
    one_of=True,
)
class PaySource:
    payment_method_id: strawberry.Maybe[strawberry.ID] = strawberry.field(
        description="By a card on file: `crd_…`."
    )
    new_card: strawberry.Maybe[NewCard] = strawberry.field(description="By another card.")
    credit: strawberry.Maybe[bool] = strawberry.field(
        description="`true`: by unused credit alone, where it covers everything (payable 0)."
    )


@strawberry.input(description="What to pay, and how.")
class PayInput:
    client_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Whose balance: `cli_…`. Who sees a single client may leave it out; it isn't"
        " needed with `invoiceId`.",
    )
    invoice_id: strawberry.ID | None = strawberry.field(
        default=None, description="One invoice, `inv_…`; without it the whole balance."
    )
    expected_amount: MoneyInput = strawberry.field(
        description="The `payable` that the page showed. That is charged, or nothing."
    )
    source: PaySource = strawberry.field(description="How to pay.")
    idempotency_key: str = strawberry.field(
        description="Made by the page once for each click and kept across retries; 16 to 255"
        " characters."
    )


@strawberry.input(description="Which payment to ask about.")
class RefreshPaymentInput:
    payment_id: strawberry.ID = strawberry.field(description="The payment: `pmt_…`.")


@strawberry.input(description="Which payment to give up.")
class CancelPaymentInput:
    payment_id: strawberry.ID = strawberry.field(description="The payment: `pmt_…`.")


# -- cards -----------------------------------------------------------------------------------------


@strawberry.input(description="Whose card it will be.")
class PrepareCardInput:
    client_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The client: `cli_…`. Who sees a single client may leave it out.",
    )


@strawberry.input(description="Which card to keep. Keeping it agrees to `consentText`.")
class AddCardInput:
    client_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The client: `cli_…`. Who sees a single client may leave it out.",
    )
    setup_intent_id: strawberry.ID = strawberry.field(
        description="From `prepareCard`, once Stripe.js has confirmed it: `seti_…`."
    )
    make_default: bool = strawberry.field(
        default=False, description="Make it the Default Card. The first card always is."
    )


@strawberry.input(description="Which card is to be the Default Card.")
class MakeDefaultInput:
    payment_method_id: strawberry.ID = strawberry.field(description="The card: `crd_…`.")


@strawberry.input(description="Which card to take off file.")
class RemoveCardInput:
    payment_method_id: strawberry.ID = strawberry.field(description="The card: `crd_…`.")
    replacement_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Which card is the default then: needed for the Default Card while there are"
        " others.",
    )


# -- signing in ------------------------------------------------------------------------------------


@strawberry.input(description="Where the mail goes.")
class RequestSignInLinkInput:
    email: str = strawberry.field(
        description="The address that the practice knows. Case and blanks around it don't count."
    )


@strawberry.input(description="The link, and the proof that it was asked for in this browser.")
class SignInInput:
    secret: str = strawberry.field(
        description="From the link: the part of the page's address after `#/sign-in/`."
    )
    nonce: str = strawberry.field(
        description="From the `requestSignInLink` that the mail answers, or from a later one for"
        " the same address whose `nextMailAt` is not null."
    )


@strawberry.input(description="The code of a mail, and the proof that it was asked for here.")
class SignInWithCodeInput:
    code: str = strawberry.field(
        description="The six digits of the mail. Blanks between them don't count."
    )
    nonce: str = strawberry.field(
        description="From the `requestSignInLink` that this mail answers: a code works with no"
        " other."
    )


@strawberry.input(description="Who to continue as.")
class SwitchViewerInput:
    id: strawberry.ID = strawberry.field(description="One of `Viewer.identities`: `idn_…`.")


@strawberry.input(description="Which sign-in to end.")
class RevokeSignInInput:
    id: strawberry.ID = strawberry.field(description="The sign-in: `sgn_…`.")
