"""Entries about payments, refunds and credit."""

from billing.entry.credits import Credit, give_credit
from billing.entry.outside_payments import (
    OutsidePayment,
    OutsideRefund,
    Portion,
    record_payment,
    record_refund,
)
from resolvers.mutations.entries.inputs import (
    CreditRecord,
    PaymentRecord,
    RecordReference,
    RefundRecord,
)
from resolvers.mutations.entries.making import INPUT, enter, enter_record, entry, minor
from resolvers.mutations.entries.references import (
    INVOICE,
    PAYMENT,
    Path,
    optional_row_id,
    owned_row,
    row_ids,
)
from resolvers.mutations.result import MutationContext, Outcome


@entry
async def enter_payment(mutation: MutationContext, input: PaymentRecord) -> Outcome:
    """Record a payment that was received outside the portal."""
    paid: dict[Path, RecordReference] = {
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
async def enter_refund(mutation: MutationContext, input: RefundRecord) -> Outcome:
    """Record money of a payment that was given back outside the portal."""
    row = await owned_row(mutation, PAYMENT, input.payment, (*INPUT, "payment"))
    amount = minor(mutation, input.amount, (*INPUT, "amount"))
    wanted = OutsideRefund(row.id, amount, input.refunded_on, input.description)
    made = await enter(mutation, row.client_id, record_refund, wanted, input)
    return made.outcome("PaymentEntered", payment_id=row.id)


@entry
async def enter_credit(mutation: MutationContext, input: CreditRecord) -> Outcome:
    """Give credit, or take unused credit back."""
    amount = minor(mutation, input.amount, (*INPUT, "amount"), signed=True)
    made = await enter_record(mutation, input, give_credit, Credit(amount, input.description))
    return made.outcome("ClientEntered")
