"""The mutations by which the practice's programs enter data: each reads its input and makes one
entry.

An entry moves no money: it records what has happened elsewhere, and a key of the other system makes
it happen once. So an operation may have several, unlike `pay`.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal
from functools import wraps
from typing import TypeVar

from billing.entry.client_ledger import ClientMaker
from billing.entry.commands import (
    ClientEntries,
    EntryContext,
    client_entries,
    practice_entries,
)
from billing.entry.credits import Credit, give_credit
from billing.entry.invoices import (
    WHOLE,
    InvoiceVoid,
    NewInvoice,
    NewLine,
    issue_invoice,
    void_invoice,
)
from billing.entry.outside_payments import OutsidePayment, Portion, record_payment
from billing.entry.people import CLIENT as PERSON
from billing.entry.people import ClientDetails, PostalAddress
from billing.entry.rows import EntryChange, Input
from billing.errors import InvalidInputError
from resolvers.mutations import references
from resolvers.mutations.amounts import to_minor
from resolvers.mutations.entry_errors import at, catch_entry_errors
from resolvers.mutations.entry_inputs import (
    ClientRecord,
    CreditRecord,
    ForClient,
    GivenAddress,
    Identified,
    InvoiceChoice,
    InvoiceRecord,
    LineRecord,
    PaymentRecord,
    RecordReference,
)
from resolvers.mutations.inputs import GivenAmount
from resolvers.mutations.references import (
    CLIENT,
    CLINICIAN,
    INVOICE,
    SESSION,
    OwnedRow,
    external_key,
    optional_row_id,
    row_id,
    row_ids,
)
from resolvers.mutations.result import MutationContext, Outcome

G = TypeVar("G")
W = TypeVar("W", bound=Input)
Act = Callable[[MutationContext, G], Awaitable[Outcome]]
INPUT = ("input",)


def entry(act: Act[G]) -> Act[G]:
    """Return a mutation that turns refusals of an entry into outcomes."""

    @wraps(act)
    async def caught(mutation: MutationContext, input: G) -> Outcome:
        return await catch_entry_errors(lambda: act(mutation, input))

    return caught


# -- entries ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """An entry that was made for a client, now or before, and the id of its main row."""

    mutation: MutationContext
    client_id: str
    row_id: str
    change: EntryChange

    def outcome(self, type_: str, **ids: str) -> Outcome:
        """Return the outcome. The client counts as read, however the input names its records."""
        self.mutation.read_ids.add(f"{CLIENT.prefix}_{self.client_id}")
        return Outcome(type_, {"change": self.change, "client_id": self.client_id, **ids})


def entry_context(mutation: MutationContext) -> EntryContext:
    context = mutation.payment_context
    return EntryContext(context.engine, context.now, context.actor, context.turns)


def entries_of(
    mutation: MutationContext, client_id: str
) -> AbstractAsyncContextManager[ClientEntries]:
    """Open a transaction for entries of a client."""
    return client_entries(entry_context(mutation), mutation.viewer.practice_id, client_id)


async def enter_record(
    mutation: MutationContext, input: ForClient, maker: ClientMaker[W], wanted: W
) -> Made:
    """Enter a record of another system for the client that it names."""
    client_id = await row_id(mutation, CLIENT, input.client, (*INPUT, "client"))
    return await enter(mutation, client_id, maker, wanted, input)


async def enter(
    mutation: MutationContext, client_id: str, maker: ClientMaker[W], wanted: W, input: Identified
) -> Made:
    """Enter a record of another system for a client."""
    async with entries_of(mutation, client_id) as entries:
        entered_id = await entries.enter(maker, wanted, external_key(input.external_id))
    return Made(mutation, client_id, entered_id, entries.change)


def minor(
    mutation: MutationContext, amount: GivenAmount, path: references.Path, *, signed: bool = False
) -> int:
    return to_minor(amount, mutation.viewer.currency, path, signed=signed)


# -- clients ---------------------------------------------------------------------------------------


@entry
async def upsert_client(mutation: MutationContext, input: ClientRecord) -> Outcome:
    """Add a client, or change the details of the client that was added before."""
    clinician_id = await optional_row_id(
        mutation, CLINICIAN, input.clinician, (*INPUT, "clinician")
    )
    details = ClientDetails(
        name=input.name,
        email=input.email,
        phone=input.phone,
        date_of_birth=input.date_of_birth,
        clinician_id=clinician_id,
        address=postal_address(input.address),
    )
    context, practice_id = entry_context(mutation), mutation.viewer.practice_id
    async with practice_entries(context, practice_id) as entries:
        client_id = await entries.upsert(PERSON, details, external_key(input.external_id))
    return Made(mutation, client_id, client_id, entries.change).outcome("ClientEntered")


def postal_address(given: GivenAddress | None) -> PostalAddress | None:
    if given is None:
        return None
    with at(*INPUT, "address"):
        return PostalAddress(
            line1=given.line1,
            line2=given.line2,
            city=given.city,
            region=given.region,
            postal_code=given.postal_code,
            country=given.country,
        )


# -- invoices --------------------------------------------------------------------------------------


@entry
async def enter_invoice(mutation: MutationContext, input: InvoiceRecord) -> Outcome:
    """Issue an invoice."""
    sessions = {
        line_path(number, "session"): line.session
        for number, line in enumerate(input.lines)
        if line.session is not None
    }
    session_ids = await row_ids(mutation, SESSION, sessions)
    lines = [
        new_line(mutation, number, line, session_ids.get(line_path(number, "session")))
        for number, line in enumerate(input.lines)
    ]
    wanted = NewInvoice(
        lines=lines,
        due_on=input.due_on,
        issued_on=input.issued_on,
        clinician_id=await optional_row_id(
            mutation, CLINICIAN, input.clinician, (*INPUT, "clinician")
        ),
        notes=input.notes,
        is_shared=input.is_shared,
        number=input.number,
    )
    made = await enter_record(mutation, input, issue_invoice, wanted)
    return made.outcome("InvoiceEntered", invoice_id=made.row_id)


def new_line(
    mutation: MutationContext, number: int, line: LineRecord, session_id: str | None
) -> NewLine:
    """Return a line of an invoice; `number` counts from 0."""
    price = None
    if line.unit_price is not None:
        price = minor(mutation, line.unit_price, line_path(number, "unitPrice"), signed=True)
    quantity = Decimal(line.quantity) * WHOLE
    if quantity != quantity.to_integral_value():
        raise InvalidInputError("A quantity has two decimals.", line_path(number, "quantity"))
    with at(*line_path(number)):
        return NewLine(
            description=line.description,
            unit_price_minor=price,
            date=line.date,
            service_code=line.service_code,
            session_id=session_id,
            quantity_hundredths=int(quantity),
        )


def line_path(number: int, *names: str) -> references.Path:
    return (*INPUT, "lines", str(number), *names)


@entry
async def void(mutation: MutationContext, input: InvoiceChoice) -> Outcome:
    """Void an invoice. One that is void already stays as it is."""
    row = await owned_invoice(mutation, input)
    async with entries_of(mutation, row.client_id) as entries:
        change = EntryChange.UNCHANGED
        if not entries.ledger.invoice(row.id, may_be_void=True).is_void:
            await entries.enter(void_invoice, InvoiceVoid(row.id))
            change = EntryChange.CHANGED
    made = Made(mutation, row.client_id, row.id, change)
    return made.outcome("InvoiceEntered", invoice_id=row.id)


async def owned_invoice(mutation: MutationContext, input: InvoiceChoice) -> OwnedRow:
    return await references.owned_row(mutation, INVOICE, input.invoice, (*INPUT, "invoice"))


# -- payments and credit ---------------------------------------------------------------------------


@entry
async def enter_payment(mutation: MutationContext, input: PaymentRecord) -> Outcome:
    """Record a payment that was received outside the portal."""
    paid: dict[references.Path, RecordReference] = {
        (*INPUT, "portions", str(number), "invoice"): portion.invoice
        for number, portion in enumerate(input.portions or ())
    }
    invoice_ids = await row_ids(mutation, INVOICE, paid)
    amounts = [
        minor(mutation, portion.amount, (*INPUT, "portions", str(number), "amount"))
        for number, portion in enumerate(input.portions or ())
    ]
    portions = [Portion(*part) for part in zip(invoice_ids.values(), amounts, strict=True)]
    invoice_id = await optional_row_id(mutation, INVOICE, input.invoice, (*INPUT, "invoice"))
    wanted = OutsidePayment(
        method=input.method,
        amount_minor=minor(mutation, input.amount, (*INPUT, "amount")),
        paid_on=input.paid_on,
        invoice_id=invoice_id,
        portions=None if input.portions is None else portions,
    )
    made = await enter_record(mutation, input, record_payment, wanted)
    return made.outcome("PaymentEntered", payment_id=made.row_id)


@entry
async def enter_credit(mutation: MutationContext, input: CreditRecord) -> Outcome:
    """Give credit, or take unused credit back."""
    amount = minor(mutation, input.amount, (*INPUT, "amount"), signed=True)
    made = await enter_record(mutation, input, give_credit, Credit(amount, input.description))
    return made.outcome("ClientEntered")
