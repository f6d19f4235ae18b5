"""Input types of arguments."""

import datetime as dt

import strawberry

from graph.scalars import CurrencyCode, Decimal
from resolvers import clients, filters, invoices
from resolvers.clients import ClientOrderField
from resolvers.invoices import InvoiceOrderField
from resolvers.ordering import OrderDirection


@strawberry.input(
    description="A range of days in the practice's time zone, both ends included. Either end may"
    " be omitted; a first day after the last day is an error."
)
class DateRange(filters.DateRange):
    gte: dt.date | None = strawberry.field(default=None, description="The first day.")
    lte: dt.date | None = strawberry.field(default=None, description="The last day.")


@strawberry.input(description="The sort order of invoices; newest first by default.")
class InvoiceOrder(invoices.InvoiceOrder):
    field: InvoiceOrderField = strawberry.field(
        default=InvoiceOrderField.ISSUED_ON, description="The sort key."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="The sort direction."
    )


@strawberry.input(description="The sort order of clients; by name by default.")
class ClientOrder(clients.ClientOrder):
    field: ClientOrderField = strawberry.field(
        default=ClientOrderField.NAME, description="The sort key."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="The sort direction."
    )


# -- paying ----------------------------------------------------------------------------------------


@strawberry.input(description="An amount of money.")
class MoneyInput:
    amount: Decimal = strawberry.field(
        description="The amount in major units, with at most as many decimals as the currency has:"
        ' `"125.00"`.'
    )
    currency: CurrencyCode = strawberry.field(description="The practice's currency.")


@strawberry.input(description="A card that is not on file.")
class NewCard:
    confirmation_token: str = strawberry.field(
        description="The confirmation token created by Stripe.js in the browser. It must include"
        " the cardholder's name, and the billing postal code unless the billing country has none; a"
        " wallet's card may lack them. Card numbers never reach this server. A token works once."
    )
    save_card: bool = strawberry.field(
        default=False,
        description="Save the card on file. Show `consentText` next to the checkbox: checking it"
        " means agreeing to the text.",
    )
    make_default: bool = strawberry.field(
        default=False, description="Make the card the Default Card; only with `saveCard`."
    )


@strawberry.input(
    description="The source of a payment: exactly one of these.",
    one_of=True,
)
class PaySource:
    payment_method_id: strawberry.Maybe[strawberry.ID] = strawberry.field(
        description="The id of a card on file: `crd_…`."
    )
    new_card: strawberry.Maybe[NewCard] = strawberry.field(
        description="A card that is not on file."
    )
    credit: strawberry.Maybe[bool] = strawberry.field(
        description="`true` to pay from unused credit alone, where it covers everything (`payable`"
        " is 0)."
    )


@strawberry.input(description="Input for `pay`.")
class PayInput:
    client_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The client with the balance to pay: `cli_…`. A viewer with exactly one client"
        " may omit it; it is not needed with `invoiceId`.",
    )
    invoice_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The invoice to pay, `inv_…`. If omitted, the whole balance is paid.",
    )
    expected_amount: MoneyInput = strawberry.field(
        description="The `payable` amount that the page showed. Exactly this amount is charged, or"
        " nothing."
    )
    source: PaySource = strawberry.field(description="The source of the payment.")
    idempotency_key: str = strawberry.field(
        description="A key that the page generates once for each click and reuses in retries; 16"
        " to 255 characters."
    )


@strawberry.input(description="Input for `refreshPayment`.")
class RefreshPaymentInput:
    payment_id: strawberry.ID = strawberry.field(description="The id of the payment: `pmt_…`.")


@strawberry.input(description="Input for `cancelPayment`.")
class CancelPaymentInput:
    payment_id: strawberry.ID = strawberry.field(description="The id of the payment: `pmt_…`.")


# -- cards -----------------------------------------------------------------------------------------


@strawberry.input(description="Input for `prepareCard`.")
class PrepareCardInput:
    client_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The client that the card is for: `cli_…`. A viewer with exactly one client"
        " may omit it.",
    )


@strawberry.input(description="Input for `addCard`. Saving a card means agreeing to `consentText`.")
class AddCardInput:
    client_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The client that the card is for: `cli_…`. A viewer with exactly one client"
        " may omit it.",
    )
    setup_intent_id: strawberry.ID = strawberry.field(
        description="The SetupIntent of `prepareCard`, after Stripe.js has confirmed it: `seti_…`."
    )
    make_default: bool = strawberry.field(
        default=False,
        description="Make the card the Default Card. A client's first card always is.",
    )


@strawberry.input(description="Input for `makeDefault`.")
class MakeDefaultInput:
    payment_method_id: strawberry.ID = strawberry.field(description="The id of the card: `crd_…`.")


@strawberry.input(description="Input for `shareCard`.")
class ShareCardInput:
    payment_method_id: strawberry.ID = strawberry.field(description="The id of the card: `crd_…`.")


@strawberry.input(description="Input for `unshareCard`.")
class UnshareCardInput:
    payment_method_id: strawberry.ID = strawberry.field(description="The id of the card: `crd_…`.")


@strawberry.input(description="Input for `removeCard`.")
class RemoveCardInput:
    payment_method_id: strawberry.ID = strawberry.field(description="The id of the card: `crd_…`.")
    replacement_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The id of the next Default Card: required when the Default Card is removed"
        " while there are other cards.",
    )


# -- signing in ------------------------------------------------------------------------------------


@strawberry.input(description="Input for `requestSignInLink`.")
class RequestSignInLinkInput:
    email: str = strawberry.field(
        description="The e-mail address known to the practice. Case and surrounding blanks are"
        " ignored."
    )


@strawberry.input(
    description="Input for `signIn`: the secret of the link, and the proof that this browser"
    " requested the link."
)
class SignInInput:
    secret: str = strawberry.field(
        description="The secret of the link: the part of the page's URL after `#/sign-in/`."
    )
    nonce: str = strawberry.field(
        description="The nonce of the `requestSignInLink` that sent the mail, or of a later one"
        " for the same address with a `nextMailAt` that is not null."
    )


@strawberry.input(
    description="Input for `signInWithCode`: the code of a mail, and the proof that this page"
    " requested the mail."
)
class SignInWithCodeInput:
    code: str = strawberry.field(
        description="The six-digit code in the mail. Blanks between the digits are ignored."
    )
    nonce: str = strawberry.field(
        description="The nonce of the `requestSignInLink` that sent this mail. A code works with"
        " no other nonce."
    )


@strawberry.input(description="Input for `switchViewer`.")
class SwitchViewerInput:
    id: strawberry.ID = strawberry.field(
        description="The id of one of `Viewer.identities`: `idn_…`."
    )


@strawberry.input(description="Input for `revokeSignIn`.")
class RevokeSignInInput:
    id: strawberry.ID = strawberry.field(description="The id of the sign-in: `sgn_…`.")
