"""Results of entries: the entered records, or the reason of the refusal."""

from typing import Annotated

import strawberry

from billing.entry.rows import EntryChange
from billing.errors import ErrorCode
from graph.fields import field
from graph.mutations.payment_results import (
    InvalidInput,
    NotFound,
    PaymentInProgress,
    UserError,
    code,
    message,
    path,
    payment,
)
from graph.types.client import Client
from graph.types.invoice import Invoice, Session
from graph.types.payment import Payment
from graph.types.statement import Statement
from graph.types.superbill import Superbill
from planner.outcome import OutcomeRow
from planner.sources import ToOne, Value
from resolvers import clients, invoices, sessions, statements, superbills
from resolvers.field_facts import NO_SCOPE, needs

MORE = " More members may be added."

change = field(
    Value[OutcomeRow](lambda outcome: outcome.text("change")),
    description="What the mutation has done.",
)
client = field(ToOne(clients.of_result), description="The client, after the entry.")
invoice = field(ToOne(invoices.of_outcome), description="The invoice, after the entry.")


@needs(NO_SCOPE)
@strawberry.interface(
    description="An entry of the practice: made now, or before from the same record."
)
class Entry:
    change: EntryChange = change


@strawberry.type(description="An entry about a client.")
class ClientEntered(Entry):
    change: EntryChange = change
    client: Client = client


@strawberry.type(description="An entry about a session.")
class SessionEntered(Entry):
    change: EntryChange = change
    session: Session = field(ToOne(sessions.of_outcome), description="The session.")
    client: Client = client


@strawberry.type(description="An entry about an invoice.")
class InvoiceEntered(Entry):
    change: EntryChange = change
    invoice: Invoice = invoice
    client: Client = client


@strawberry.type(description="An entry about a payment.")
class PaymentEntered(Entry):
    change: EntryChange = change
    payment: Payment = payment
    client: Client = client


@strawberry.type(description="An entry about a statement.")
class StatementEntered(Entry):
    change: EntryChange = change
    statement: Statement = field(ToOne(statements.of_outcome), description="The statement.")
    client: Client = client


@strawberry.type(description="An entry about a superbill.")
class SuperbillEntered(Entry):
    change: EntryChange = change
    superbill: Superbill = field(ToOne(superbills.of_outcome), description="The superbill.")
    client: Client = client


# -- refusals --------------------------------------------------------------------------------------


@strawberry.type(description="A session is on another invoice.")
class AlreadyInvoiced(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The invoice is void.")
class InvoiceIsVoid(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The amount is more than what is due of the invoice, or billed by it.")
class ExceedsAmountDue(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The amount is more than the client's unused credit.")
class ExceedsFunds(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="The amounts are more than the payment, or than what is left of it.")
class ExceedsPayment(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="A card was charged through Stripe. The practice refunds it with `portal refund`."
)
class PaidByCard(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="Another document has the number.")
class NumberTaken(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="The key was used for a record with other values. An issued document and a payment"
    " never change: correct them by entries of their own, and send a new record with a new key."
)
class ChangedAfterEntry(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


# -- results ---------------------------------------------------------------------------------------

ClientEntryResult = Annotated[
    ClientEntered | ExceedsFunds | PaymentInProgress | ChangedAfterEntry | NotFound | InvalidInput,
    strawberry.union(
        "ClientEntryResult", description=f"The result of an entry about a client.{MORE}"
    ),
]
InvoiceEntryResult = Annotated[
    InvoiceEntered
    | AlreadyInvoiced
    | InvoiceIsVoid
    | ExceedsAmountDue
    | ExceedsFunds
    | NumberTaken
    | PaymentInProgress
    | ChangedAfterEntry
    | NotFound
    | InvalidInput,
    strawberry.union(
        "InvoiceEntryResult", description=f"The result of an entry about an invoice.{MORE}"
    ),
]
PaymentEntryResult = Annotated[
    PaymentEntered
    | PaidByCard
    | InvoiceIsVoid
    | ExceedsAmountDue
    | ExceedsPayment
    | PaymentInProgress
    | ChangedAfterEntry
    | NotFound
    | InvalidInput,
    strawberry.union(
        "PaymentEntryResult", description=f"The result of an entry about a payment.{MORE}"
    ),
]
SessionEntryResult = Annotated[
    SessionEntered | ChangedAfterEntry | NotFound | InvalidInput,
    strawberry.union(
        "SessionEntryResult", description=f"The result of an entry about a session.{MORE}"
    ),
]
StatementEntryResult = Annotated[
    StatementEntered | ChangedAfterEntry | NotFound | InvalidInput,
    strawberry.union(
        "StatementEntryResult", description=f"The result of an entry about a statement.{MORE}"
    ),
]
SuperbillEntryResult = Annotated[
    SuperbillEntered | ChangedAfterEntry | NotFound | InvalidInput,
    strawberry.union(
        "SuperbillEntryResult", description=f"The result of an entry about a superbill.{MORE}"
    ),
]
ShareDocumentResult = Annotated[
    InvoiceEntered | StatementEntered | SuperbillEntered | NotFound | InvalidInput,
    strawberry.union("ShareDocumentResult", description=f"The result of `shareDocument`.{MORE}"),
]
