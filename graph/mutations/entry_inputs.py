"""Input types of entries, which the practice's programs make."""

import datetime as dt

import strawberry

from graph.mutations.inputs import MoneyInput
from graph.scalars import CountryCode, Decimal
from models import PaymentMethodKind, Relation
from resolvers.mutations.entries import inputs as given

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


@strawberry.input(description="Input for `archiveClient`.")
class ArchiveClientInput(given.ArchiveRecord):
    client: RecordReference = strawberry.field(description="The client who has left.")
    archived_on: dt.date | None = strawberry.field(
        default=None, description="The day on which the client left, until today; today by default."
    )


@strawberry.input(description="Input for `restoreClient`.")
class RestoreClientInput(given.RestoreRecord):
    client: RecordReference = strawberry.field(description="The archived client.")


@strawberry.input(description="Input for `mergeClients`: two records of the same person.")
class MergeClientsInput(given.MergeRecord):
    client: RecordReference = strawberry.field(
        description="The record to close. It keeps its documents and its history."
    )
    into: RecordReference = strawberry.field(
        description="The record that goes on, with the balance of both."
    )


@strawberry.input(
    description="Input for `linkContact`: the contact, and all rights that the contact has to the"
    " client from now on. At least one right is needed."
)
class LinkContactInput(given.ContactRecord):
    external_id: ExternalIdInput = strawberry.field(
        description="The key of the contact in the other system. An unknown key adds a contact; a"
        " known one changes the contact, who may have rights to other clients too."
    )
    client: RecordReference = strawberry.field(description="The client whose bills are concerned.")
    name: str = strawberry.field(description="The contact's full name.")
    email: str | None = strawberry.field(
        default=None, description="The e-mail address that the contact signs in with."
    )
    relation: Relation = strawberry.field(description="The contact's relation to the client.")
    sees_documents: bool = strawberry.field(
        description="The right to see the client's bills and documents."
    )
    can_pay: bool = strawberry.field(description="The right to pay the client's bills.")
    until: dt.date | None = strawberry.field(
        default=None,
        description="The last day of these rights, in the practice's time zone. Without it they"
        " have no end.",
    )


@strawberry.input(description="Input for `unlinkContact`.")
class UnlinkContactInput(given.ContactChoice):
    client: RecordReference = strawberry.field(description="The client.")
    contact: ExternalIdInput = strawberry.field(description="The key of the contact.")


# -- sessions --------------------------------------------------------------------------------------


@strawberry.input(description="Input for `recordSession`.")
class RecordSessionInput(given.SessionRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    client: RecordReference = strawberry.field(description="The client.")
    date: dt.date = strawberry.field(description="The day of the session, until today.")
    description: str = strawberry.field(description="The text for the invoice's line.")
    fee: MoneyInput = strawberry.field(description="The fee; zero is allowed.")
    clinician: RecordReference | None = strawberry.field(
        default=None, description="The clinician; by default the client's own."
    )
    starts_at: dt.datetime | None = strawberry.field(
        default=None, description="When the session began."
    )
    duration_minutes: int | None = strawberry.field(
        default=None, description="The duration in minutes."
    )
    service_code: str | None = strawberry.field(
        default=None, description="The CPT or HCPCS code, of five letters and digits."
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
    due_on: dt.date | None = strawberry.field(
        default=None,
        description="The due date; by default set by the practice's days until due.",
    )
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


@strawberry.input(description="Input for `writeOff`.")
class WriteOffInput(given.WriteOffRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    invoice: RecordReference = strawberry.field(description="The invoice.")
    amount: MoneyInput | None = strawberry.field(
        default=None, description="The amount; by default all that is due of the invoice."
    )
    description: str | None = strawberry.field(
        default=None, description="The text in the account history."
    )


@strawberry.input(description="Input for `adjustInvoice`.")
class AdjustInvoiceInput(given.AdjustmentRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    invoice: RecordReference = strawberry.field(description="The invoice.")
    amount: MoneyInput = strawberry.field(
        description="The amount by which the invoice bills more; negative for less."
    )
    description: str = strawberry.field(
        description="The text in the account history; the invoice's number is added."
    )


@strawberry.input(description="Input for `allocateCredit`.")
class AllocateCreditInput(given.CreditUseRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    invoice: RecordReference = strawberry.field(description="The invoice to pay.")
    amount: MoneyInput = strawberry.field(description="The amount of unused credit.")


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


@strawberry.input(description="Input for `recordRefund`.")
class RecordRefundInput(given.RefundRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    payment: RecordReference = strawberry.field(description="The payment, which was not by Stripe.")
    amount: MoneyInput = strawberry.field(description="The amount given back.")
    refunded_on: dt.date | None = strawberry.field(
        default=None,
        description="The day of the refund, from that of the payment until today; today by"
        " default.",
    )
    description: str = strawberry.field(
        default="Refund", description="The text in the account history."
    )


@strawberry.input(description="Input for `giveCredit`.")
class GiveCreditInput(given.CreditRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    client: RecordReference = strawberry.field(description="The client who gets the credit.")
    amount: MoneyInput = strawberry.field(
        description="The amount in the client's favor; a negative one takes unused credit back."
    )
    description: str = strawberry.field(description="The text in the account history.")


# -- documents -------------------------------------------------------------------------------------


@strawberry.input(description="Input for `issueStatement`.")
class IssueStatementInput(given.StatementRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    client: RecordReference = strawberry.field(description="The client.")
    period_start: dt.date = strawberry.field(description="The first day of the period.")
    period_end: dt.date = strawberry.field(description="The last day of the period, which is over.")
    is_shared: bool = strawberry.field(default=True, description=SHARED)


@strawberry.input(description="A diagnosis of a superbill. Each visit points to all of them.")
class DiagnosisInput(given.DiagnosisRecord):
    code: str = strawberry.field(description="The ICD-10-CM code: `F41.1`.")
    description: str | None = strawberry.field(default=None, description="The code in words.")


@strawberry.input(description="Input for `issueSuperbill`.")
class IssueSuperbillInput(given.SuperbillRecord):
    external_id: ExternalIdInput = strawberry.field(description=EXTERNAL_ID)
    client: RecordReference = strawberry.field(description="The client.")
    period_start: dt.date = strawberry.field(
        description="The first day of the period. The superbill has a line for each session of it."
    )
    period_end: dt.date = strawberry.field(description="The last day of the period.")
    clinician: RecordReference = strawberry.field(
        description="The provider, whose letterhead the superbill has."
    )
    diagnoses: list[DiagnosisInput] = strawberry.field(
        default_factory=list, description="The diagnoses, at most twelve."
    )
    place_of_service: str | None = strawberry.field(
        default=None, description="The place of service of all visits, two digits: `11`."
    )
    modifiers: list[str] = strawberry.field(
        default_factory=list, description="The modifiers of all visits: `95`."
    )
    is_shared: bool = strawberry.field(default=True, description=SHARED)


@strawberry.input(
    description="Input for `shareDocument`: exactly one of these. A receipt is shared from the"
    " beginning.",
    one_of=True,
)
class ShareDocumentInput(given.DocumentChoice):
    invoice: strawberry.Maybe[RecordReference] = strawberry.field(description="An invoice.")
    statement: strawberry.Maybe[RecordReference] = strawberry.field(description="A statement.")
    superbill: strawberry.Maybe[RecordReference] = strawberry.field(description="A superbill.")
