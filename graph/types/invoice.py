"""Invoices, their lines, and the sessions on the lines."""

import datetime as dt
from typing import Annotated

import strawberry

import models
from billing.ledger.invoices import InvoiceStatus
from graph.fields import column, field
from graph.node import Node, identity
from graph.scalars import Decimal
from graph.types.document import DocumentLink, document_field
from graph.types.money import Money, money_field
from graph.types.payment import LazyClient, Payment, client
from graph.types.provider import Clinician, Provider, clinician, provider
from planner.sources import Embedded, ToMany, ToOne, Value
from planner.sql_text import exact_decimal
from planner.tables import RowOf
from resolvers import invoices, payments, sessions
from resolvers.field_facts import BILLING, PHI, Cost, needs
from resolvers.money import Amount

LazyInvoice = Annotated["Invoice", strawberry.lazy("graph.types.invoice")]


@needs(PHI)
@strawberry.type(description="An appointment that took place.")
class Session(Node):
    id: strawberry.ID = identity("ses")
    client: LazyClient = client
    clinician: Clinician | None = clinician
    date: dt.date = column(models.Session.date, "The day, in the practice's time zone.")
    starts_at: dt.datetime | None = column(models.Session.starts_at, "When the session began.")
    duration_minutes: int | None = column(
        models.Session.duration_minutes, "The duration of the session in minutes."
    )
    description: str = column(
        models.Session.description, "The practice's description of the session."
    )
    service_code: str | None = column(models.Session.service_code, "The service code, usually CPT.")
    fee: Money = money_field(
        models.Session.fee_minor,
        "The amount that the client owes for the session once it is invoiced.",
        scopes=BILLING,
    )
    invoice: LazyInvoice | None = field(
        ToOne(sessions.invoice_of),
        description="The invoice with this session; null if the session is not invoiced yet or the"
        " invoice is not shared.",
        cost=Cost(selects=3),
    )


session = field(ToOne(sessions.named_by), description="The session; null if there is none.")


@needs(BILLING)
@strawberry.type(description="A line of an invoice, as printed.")
class InvoiceLine:
    date: dt.date | None = column(
        models.InvoiceLine.date, "The day of service; null if there is none."
    )
    description: str = column(
        models.InvoiceLine.description, "A description of the charge.", scopes=PHI
    )
    service_code: str | None = column(
        models.InvoiceLine.service_code,
        "The service code, usually CPT.",
        scopes=PHI,
    )
    quantity: Decimal = field(
        Value[RowOf[models.InvoiceLine]](lambda line: exact_decimal(line.c.quantity_hundredths, 2)),
        description="The number of units.",
    )
    unit_price: Money = money_field(models.InvoiceLine.unit_price_minor, "The price of one unit.")
    amount: Money = money_field(models.InvoiceLine.amount_minor, "The amount of the line.")
    session: Session | None = session


@needs(BILLING)
@strawberry.type(description="A bill. Its paid and due amounts are always current.")
class Invoice(Node):
    id: strawberry.ID = identity("inv")
    number: str = column(
        models.Invoice.number,
        "The number as printed, unique in the practice: `INV-2026-0042`.",
        scopes=BILLING,
    )
    client: LazyClient = client
    clinician: Clinician | None = clinician
    issued_on: dt.date = column(models.Invoice.issued_on, "The day of issue.")
    due_on: dt.date | None = column(models.Invoice.due_on, "The due date; null if none is set.")
    status: InvoiceStatus = field(
        Value[invoices.InvoiceRow](lambda invoice: invoice.standing.status),
        description="The payment status.",
        cost=Cost(selects=6),
    )
    is_past_due: bool = field(
        Value[invoices.InvoiceRow](lambda invoice: invoice.is_past_due),
        description="Whether an amount is still due after the due date. A partially paid invoice"
        " can be past due.",
        cost=Cost(selects=6),
    )
    total: Money = money_field(models.Invoice.total_minor, "The sum of the lines, as printed.")
    amount_paid: Money = field(
        Embedded[invoices.InvoiceRow](lambda invoice: Amount(invoice.standing.paid)),
        description="The amount allocated to the invoice, less the amounts taken back by refunds"
        " and disputes.",
        cost=Cost(selects=4),
    )
    voided: Money = field(
        Embedded[invoices.InvoiceRow](lambda invoice: invoice.voided),
        description="The total if the invoice is void, and zero otherwise.",
    )
    written_off: Money = field(
        Embedded[invoices.InvoiceRow](lambda invoice: Amount(-invoice.corrections["written_off"])),
        description="The amount that the practice wrote off.",
    )
    adjusted: Money = field(
        Embedded[invoices.InvoiceRow](lambda invoice: Amount(invoice.corrections["adjusted"])),
        description="The sum of the practice's adjustments; negative if they lowered the amount"
        " due.",
    )
    amount_due: Money = field(
        Embedded[invoices.InvoiceRow](lambda invoice: Amount(invoice.standing.due)),
        description="The amount still owed, zero if the invoice is void: `total` less `voided`,"
        " `writtenOff` and `amountPaid`, plus `adjusted`.",
        cost=Cost(selects=6, nesting=1),
    )
    payable: Money = field(
        Embedded[invoices.InvoiceRow](lambda invoice: invoice.payable),
        description="The amount that Pay Now on this invoice charges: `amountDue` less unused"
        " credit, never negative; zero while the invoice is disputed. Send it as `expectedAmount`.",
        cost=Cost(selects=18, nesting=1),
    )
    is_disputed: bool = field(
        Value[invoices.InvoiceRow](lambda invoice: invoice.is_disputed),
        description="Whether a payment of the invoice is disputed and the bank has not decided"
        " yet. Until then, the amount is due again but not payable.",
    )
    lines: list[InvoiceLine] = field(
        ToMany(invoices.lines), description="The lines, in printed order."
    )
    payments: list[Payment] = field(
        ToMany(payments.of_invoice),
        description="The payments with an allocation to this invoice, newest first.",
        cost=Cost(selects=5),
    )
    notes: str | None = column(
        models.Invoice.notes, "The practice's notes on the invoice.", scopes=PHI
    )
    provider: Provider = provider
    document: DocumentLink = document_field("inv")


invoice = field(
    ToOne(invoices.named_by),
    description="The invoice that the entry belongs to; null if there is none or it is not shared.",
)
