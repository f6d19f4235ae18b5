"""Entries about invoices."""

from decimal import Decimal

from billing.entry.credits import CreditUse, use_credit
from billing.entry.invoices import (
    WHOLE,
    Adjustment,
    InvoiceVoid,
    NewInvoice,
    NewLine,
    WriteOff,
    adjust_invoice,
    issue_invoice,
    void_invoice,
    write_off_invoice,
)
from billing.entry.rows import EntryChange
from billing.errors import InvalidInputError
from resolvers.mutations.entries.errors import at
from resolvers.mutations.entries.inputs import (
    AdjustmentRecord,
    CreditUseRecord,
    InvoiceChoice,
    InvoiceRecord,
    LineRecord,
    WriteOffRecord,
)
from resolvers.mutations.entries.making import (
    INPUT,
    Made,
    enter,
    enter_record,
    entries_of,
    entry,
    minor,
)
from resolvers.mutations.entries.references import (
    CLINICIAN,
    INVOICE,
    SESSION,
    OwnedRow,
    Path,
    optional_row_id,
    owned_row,
    row_ids,
)
from resolvers.mutations.result import MutationContext, Outcome


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


def line_path(number: int, *names: str) -> Path:
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
    return await owned_row(mutation, INVOICE, input.invoice, (*INPUT, "invoice"))


@entry
async def write_off(mutation: MutationContext, input: WriteOffRecord) -> Outcome:
    """Give up a part of an invoice's amount due, or all of it."""
    row = await owned_invoice(mutation, input)
    amount = None if input.amount is None else minor(mutation, input.amount, (*INPUT, "amount"))
    wanted = WriteOff(row.id, amount, input.description)
    made = await enter(mutation, row.client_id, write_off_invoice, wanted, input)
    return made.outcome("InvoiceEntered", invoice_id=row.id)


@entry
async def adjust(mutation: MutationContext, input: AdjustmentRecord) -> Outcome:
    """Correct an invoice's billed amount."""
    row = await owned_invoice(mutation, input)
    amount = minor(mutation, input.amount, (*INPUT, "amount"), signed=True)
    wanted = Adjustment(row.id, amount, input.description)
    made = await enter(mutation, row.client_id, adjust_invoice, wanted, input)
    return made.outcome("InvoiceEntered", invoice_id=row.id)


@entry
async def allocate_credit(mutation: MutationContext, input: CreditUseRecord) -> Outcome:
    """Put unused credit toward an invoice."""
    row = await owned_invoice(mutation, input)
    wanted = CreditUse(row.id, minor(mutation, input.amount, (*INPUT, "amount")))
    made = await enter(mutation, row.client_id, use_credit, wanted, input)
    return made.outcome("InvoiceEntered", invoice_id=row.id)
