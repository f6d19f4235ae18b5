"""Invoices, their lines, and the sessions on the lines."""

import datetime as dt
from typing import Annotated

import strawberry

from billing.ledger.invoices import InvoiceStatus
from graph.node import Node, identity
from graph.scalars import Decimal
from graph.types.document import DocumentLink, document_field
from graph.types.money import Money, money_field
from graph.types.payment import LazyClient, Payment, client
from graph.types.provider import Clinician, Provider, clinician, provider
from planner.sources import ToMany, ToOne, Value, column, field
from planner.sql_text import exact_decimal, rfc3339
from resolvers import invoices, payments, sessions
from resolvers.money import Amount

LazyInvoice = Annotated["Invoice", strawberry.lazy("graph.types.invoice")]


@strawberry.type(description="An appointment that took place.")
class Session(Node):
    id: strawberry.ID = identity("ses")
    client: LazyClient = client
    clinician: Clinician | None = clinician
    date: dt.date = column("date", "The day, in the practice's time zone.")
    starts_at: dt.datetime | None = field(
        Value(lambda session: rfc3339(session.c.starts_at)), description="When the session began."
    )
    duration_minutes: int | None = column(
        "duration_minutes", "The duration of the session in minutes."
    )
    description: str = column("description", "The practice's description of the session.")
    service_code: str | None = column("service_code", "The service code, usually CPT.")
    fee: Money = money_field(
        "fee_minor", "The amount that the client owes for the session once it is invoiced."
    )
    invoice: LazyInvoice | None = field(
        ToOne(sessions.invoice_of),
        description="The invoice with this session; null if the session is not invoiced yet or the"
        " invoice is not shared.",
    )


session = field(ToOne(sessions.named_by), description="The session; null if there is none.")


@strawberry.type(description="A line of an invoice, as printed.")
class InvoiceLine:
    date: dt.date | None = column("date", "The day of service; null if there is none.")
    description: str = column("description", "A description of the charge.")
    service_code: str | None = column("service_code", "The service code, usually CPT.")
    quantity: Decimal = field(
        Value(lambda line: exact_decimal(line.c.quantity_hundredths, 2)),
        description="The number of units.",
    )
    unit_price: Money = money_field("unit_price_minor", "The price of one unit.")
    amount: Money = money_field("amount_minor", "The amount of the line.")
    session: Session | None = session


@strawberry.type(description="A bill. Its paid and due amounts are always current.")
class Invoice(Node):
    id: strawberry.ID = identity("inv")
    number: str = column(
        "number", "The number as printed, unique in the practice: `INV-2026-0042`."
    )
    client: LazyClient = client
    clinician: Clinician | None = clinician
    issued_on: dt.date = column("issued_on", "The day of issue.")
    due_on: dt.date | None = column("due_on", "The due date; null if none is set.")
    status: InvoiceStatus = field(
        Value(lambda invoice: invoice.standing.status), description="The payment status."
    )
    is_past_due: bool = field(
        Value(lambda invoice: invoice.is_past_due),
        description="Whether an amount is still due after the due date. A partially paid invoice"
        " can be past due.",
    )
    total: Money = money_field("total_minor", "The sum of the lines, as printed.")
    amount_paid: Money = money_field(
        lambda invoice: Amount(invoice.standing.paid),
        "The amount allocated to the invoice, less the amounts taken back by refunds and disputes.",
    )
    voided: Money = money_field(
        lambda invoice: invoice.voided, "The total if the invoice is void, and zero otherwise."
    )
    written_off: Money = money_field(
        lambda invoice: Amount(-invoice.corrections["written_off"]),
        "The amount that the practice wrote off.",
    )
    adjusted: Money = money_field(
        lambda invoice: Amount(invoice.corrections["adjusted"]),
        "The sum of the practice's adjustments; negative if they lowered the amount due.",
    )
    amount_due: Money = money_field(
        lambda invoice: Amount(invoice.standing.due),
        "The amount still owed, zero if the invoice is void: `total` less `voided`, `writtenOff`"
        " and `amountPaid`, plus `adjusted`.",
    )
    payable: Money = money_field(
        lambda invoice: invoice.payable,
        "The amount that Pay Now on this invoice charges: `amountDue` less unused credit, never"
        " negative; zero while the invoice is disputed. Send it as `expectedAmount`.",
    )
    is_disputed: bool = field(
        Value(lambda invoice: invoice.is_disputed),
        description="Whether a payment of the invoice is disputed and the bank has not decided"
        " yet. Until then, the amount is due again but not payable.",
    )
    lines: list[InvoiceLine] = field(
        ToMany(invoices.lines), description="The lines, in printed order."
    )
    payments: list[Payment] = field(
        ToMany(payments.of_invoice),
        description="The payments with an allocation to this invoice, newest first.",
    )
    notes: str | None = column("notes", "The practice's notes on the invoice.")
    provider: Provider = provider
    document: DocumentLink = document_field("inv")


invoice = field(
    ToOne(invoices.named_by),
    description="The invoice that the entry belongs to; null if there is none or it is not shared.",
)
