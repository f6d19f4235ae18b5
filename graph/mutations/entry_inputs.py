"""Input types of entries, which the practice's programs make."""

import datetime as dt

import strawberry

from graph.mutations.inputs import MoneyInput
from graph.scalars import CountryCode, Decimal
from models import PaymentMethodKind
from resolvers.mutations import entry_inputs as given

EXTERNAL_ID = (
    "The key of the record in the other system. Sent again with the same values, the record is not"
    " entered again (`UNCHANGED`)."
)
CLIENT = "The client."
SHARED = "Whether the client may see the document at once."


@strawberry.input(
    description="The key of a record in another system of the practice. Keys of imported files are"
    " the same keys."
)
class ExternalIdInput(given.ExternalKey):
    source: str = strawberry.field(
        description='The name of the other system: `"simplepractice"`. At most 50 characters.'
    )
    id: str = strawberry.field(
        description="The key of the record in that system. At most 200 characters."
    )


@strawberry.input(
    description="A record, by its id here or by its key in another system: exactly one of these.",
    one_of=True,
)
class RecordReference(given.RecordReference):
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(
        description="The id: `cli_…` for a client, `inv_…` for an invoice."
    )
    external_id: strawberry.Maybe[ExternalIdInput] = strawberry.field(
        description="The key that the record was entered with."
    )


# -- clients ---------------------------------------------------------------------------------------


@strawberry.input(description="A postal address.")
class AddressInput(given.GivenAddress):
    line1: str = strawberry.field(description="The street and the number.")
    line2: str | None = strawberry.field(default=None, description="A second line.")
    city: str = strawberry.field(description="The city.")
    region: str | None = strawberry.field(default=None, description="The state or region.")
    postal_code: str = strawberry.field(description="The postal code.")
    country: CountryCode = strawberry.field(description="The country.")


@strawberry.input(
    description="Input for `upsertClient`: all details of the client. What is left out is removed."
)
class UpsertClientInput(given.ClientRecord):
    external_id: ExternalIdInput = strawberry.field(
        description="The key of the client in the other system. An unknown key adds a client; a"
        " known one changes the client that was added with it."
    )
    name: str = strawberry.field(description="The full name.")
    email: str | None = strawberry.field(
        default=None, description="The e-mail address that the client signs in with."
    )
    phone: str | None = strawberry.field(default=None, description="The telephone number.")
    date_of_birth: dt.date | None = strawberry.field(default=None, description="The date of birth.")
    clinician: RecordReference | None = strawberry.field(
        default=None, description="The client's own clinician."
    )
    address: AddressInput | None = strawberry.field(
        default=None, description="The postal address, for superbills."
    )


# -- invoices --------------------------------------------------------------------------------------


@strawberry.input(
    description="A line of an invoice: a session, whose values stand where the line has none, or"
    " another charge, which needs `description` and `unitPrice`."
)
class InvoiceLineInput(given.LineRecord):
    session: RecordReference | None = strawberry.field(
        default=None, description="The session. It may be on one invoice at a time."
    )
    description: str | None = strawberry.field(default=None, description="The text of the line.")
    date: dt.date | None = strawberry.field(default=None, description="The day of service.")
    service_code: str | None = strawberry.field(
        default=None, description="The CPT or HCPCS code, of five letters and digits."
    )
    unit_price: MoneyInput | None = strawberry.field(
        default=None, description="The price of one; negative for a discount."
    )
    quantity: Decimal = strawberry.field(
        default=Decimal("1"), description="The quantity, with at most two decimals."
    )


@strawberry.input(description="Input for `issueInvoice`.")
class IssueInvoiceInput(given.InvoiceRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    client: RecordReference = strawberry.field(description="The client who owes the invoice.")
    lines: list[InvoiceLineInput] = strawberry.field(description="The lines, 1 to 1,000.")
    number: str | None = strawberry.field(
        default=None,
        description="The number that the other system has given the invoice; without it the"
        " practice's next number is used.",
    )
    issued_on: dt.date | None = strawberry.field(
        default=None, description="The day of issue, until today; today by default."
    )
    due_on: dt.date | None = strawberry.field(default=None, description="The due date.")
    clinician: RecordReference | None = strawberry.field(
        default=None, description="The clinician; by default the client's own."
    )
    notes: str | None = strawberry.field(
        default=None, description="Notes for the client, printed below the lines."
    )
    is_shared: bool = strawberry.field(default=True, description=SHARED)


@strawberry.input(description="Input for `voidInvoice`.")
class VoidInvoiceInput(given.InvoiceChoice):
    invoice: RecordReference = strawberry.field(description="The invoice to void.")


# -- payments and credit ---------------------------------------------------------------------------


@strawberry.input(description="The part of a payment for one invoice.")
class PortionInput(given.PortionRecord):
    invoice: RecordReference = strawberry.field(description="The invoice.")
    amount: MoneyInput = strawberry.field(description="The part that pays the invoice.")


@strawberry.input(
    description="Input for `recordPayment`. The payment is put toward `invoice`, or as `portions`"
    " say, or else toward the oldest invoices; the rest is unused credit."
)
class RecordPaymentInput(given.PaymentRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    client: RecordReference = strawberry.field(description="The client whose bills are paid.")
    amount: MoneyInput = strawberry.field(description="The amount received.")
    method: PaymentMethodKind = strawberry.field(
        description="How the money was received: `CASH`, `CHECK`, `BANK_TRANSFER`, `CARD` (at"
        " another terminal) or `OTHER`."
    )
    paid_on: dt.date | None = strawberry.field(
        default=None, description="The day of the payment, until today; today by default."
    )
    invoice: RecordReference | None = strawberry.field(
        default=None, description="The one invoice that is paid."
    )
    portions: list[PortionInput] | None = strawberry.field(
        default=None, description="The parts for single invoices; instead of `invoice`."
    )


@strawberry.input(description="Input for `giveCredit`.")
class GiveCreditInput(given.CreditRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    client: RecordReference = strawberry.field(description="The client who gets the credit.")
    amount: MoneyInput = strawberry.field(
        description="The amount in the client's favor; a negative one takes unused credit back."
    )
    description: str = strawberry.field(description="The text in the account history.")
