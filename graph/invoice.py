"""Invoices, their lines, and the sessions that the lines are for."""

import datetime as dt
from typing import Annotated

import strawberry

from billing.invoices import InvoiceStatus
from graph.document import DocumentLink, document
from graph.money import Money, money
from graph.node import Node, identity
from graph.payment import LazyClient, Payment, client
from graph.provider import Clinician, Provider, clinician, provider
from graph.scalars import Decimal
from resolvers import invoices, payments, sessions
from resolvers.money import Amount
from resolvers.planner.sources import Many, One, Value, column, field
from resolvers.planner.texts import decimal, instant

LazyInvoice = Annotated["Invoice", strawberry.lazy("graph.invoice")]


@strawberry.type(description="An appointment that took place.")
class Session(Node):
    id: strawberry.ID = identity("ses")
    client: LazyClient = client
    clinician: Clinician | None = clinician
    date: dt.date = column("date", "The day, in the practice's time zone.")
    starts_at: dt.datetime | None = field(
        Value(lambda session: instant(session.c.starts_at)), description="When it began."
    )
    duration_minutes: int | None = column("duration_minutes", "How long it took, in minutes.")
    description: str = column("description", "What it was, in the practice's words.")
    service_code: str | None = column("service_code", "The service's code, usually CPT.")
    fee: Money = money("fee_minor", "What the client owes for it once it is invoiced.")
    invoice: LazyInvoice | None = field(
        One(sessions.invoice_of),
        description="The invoice that it stands on; null: none yet, or it isn't shared.",
    )


session = field(One(sessions.named_by), description="The session; null where there is none.")


@strawberry.type(description="A line of an invoice, as printed.")
class InvoiceLine:
    date: dt.date | None = column("date", "The day of service; null where it is of none.")
    description: str = column("description", "What is charged for.")
    service_code: str | None = column("service_code", "The service's code, usually CPT.")
    quantity: Decimal = field(
        Value(lambda line: decimal(line.c.quantity_hundredths, 2)), description="How many units."
    )
    unit_price: Money = money("unit_price_minor", "For one unit.")
    amount: Money = money("amount_minor", "For the line.")
    session: Session | None = session


@strawberry.type(description="A bill. What is paid and due of it is always of this moment.")
class Invoice(Node):
    id: strawberry.ID = identity("inv")
    number: str = column("number", "As printed, unique in the practice: `INV-2026-0042`.")
    client: LazyClient = client
    clinician: Clinician | None = clinician
    issued_on: dt.date = column("issued_on", "The day of issue.")
    due_on: dt.date | None = column("due_on", "The day it is due; null: no day is set.")
    status: InvoiceStatus = field(
        Value(lambda invoice: invoice.standing.status), description="How far it is paid."
    )
    is_past_due: bool = field(
        Value(lambda invoice: invoice.is_past_due),
        description="Whether something is still due after its day. A part-paid invoice can be.",
    )
    total: Money = money("total_minor", "The sum of its lines, as printed.")
    amount_paid: Money = money(
        lambda invoice: Amount(invoice.standing.paid), "What was put toward it, less refunds."
    )
    amount_due: Money = money(
        lambda invoice: Amount(invoice.standing.due),
        "What is still owed of it, after write-offs and adjustments; zero when void.",
    )
    payable: Money = money(
        lambda invoice: invoice.payable,
        "What Pay Now on this invoice charges: `amountDue` less unused credit, never below zero;"
        " zero while it is disputed. Send it as `expectedAmount`.",
    )
    is_disputed: bool = field(
        Value(lambda invoice: invoice.is_disputed),
        description="Whether the bank has yet to decide about a payment of it. It is due again"
        " meanwhile, but not payable.",
    )
    lines: list[InvoiceLine] = field(Many(invoices.lines), description="In the order as printed.")
    payments: list[Payment] = field(
        Many(payments.of_invoice),
        description="Payments that something was put toward it from, the newest first.",
    )
    notes: str | None = column("notes", "What the practice wrote on it.")
    provider: Provider = provider
    document: DocumentLink = document("inv")


invoice = field(
    One(invoices.named_by),
    description="The invoice that it stands on; null where there is none or it isn't shared.",
)
