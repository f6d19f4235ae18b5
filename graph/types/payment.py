"""Payments, their allocations to invoices, and their receipts."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

import models
from billing.payments.status import PaymentStatus
from graph.fields import column, field
from graph.node import Node, identity
from graph.types.document import DocumentLink, document_field
from graph.types.money import Money, money_field
from models import CardBrand, DeclineReason, PaymentMethodKind
from planner.sources import Embedded, ToMany, ToOne, Value
from planner.tables import RowOf
from resolvers import clients, invoices, payments
from resolvers.field_facts import AGGREGATES, BILLING, Cost, needs
from resolvers.money import Amount
from resolvers.payment_methods import Payer

if TYPE_CHECKING:
    from graph.types.client import Client
    from graph.types.invoice import Invoice

LazyClient = Annotated["Client", strawberry.lazy("graph.types.client")]
LazyInvoice = Annotated["Invoice", strawberry.lazy("graph.types.invoice")]
LazyReceipt = Annotated["Receipt", strawberry.lazy("graph.types.payment")]
client = field(ToOne(clients.client_of), description="The client that this belongs to.")


@needs(BILLING)
@strawberry.type(
    description="The card that a payment was made with, as of the time of the payment."
)
class PaymentCard:
    brand: CardBrand = field(
        Value[payments.CardRow](lambda card: card.brand), description="The card network."
    )
    last4: str = field(
        Value[payments.CardRow](lambda card: card.last4),
        description="The last four digits of the card number.",
        scopes=BILLING,
    )


@needs(BILLING)
@strawberry.type(
    description="The part of a payment that is allocated to an invoice, less amounts taken back."
)
class PaymentAllocation:
    invoice: LazyInvoice = field(ToOne(invoices.named_by), description="The invoice.")
    amount: Money = field(
        Embedded[RowOf[payments.AllocatedAmount]](lambda row: Amount(row.c.amount_minor)),
        description="The allocated amount.",
    )


@needs(BILLING)
@strawberry.type(description="The reason for the failure of a payment.")
class PaymentFailure:
    reason: DeclineReason = field(
        Value[payments.FailureRow](lambda failure: failure.reason),
        description="The reason as a code.",
    )
    message: str = field(
        Value[payments.FailureRow](lambda failure: failure.message),
        description="The reason in words for the cardholder.",
        scopes=BILLING,
    )


@needs(BILLING)
@strawberry.type(description="A payment by a client, including an attempt that did not succeed.")
class Payment(Node):
    id: strawberry.ID = identity("pmt")
    client: LazyClient = client
    amount: Money = money_field(
        models.Payment.amount_minor, "The amount that is or would be charged."
    )
    status: PaymentStatus = field(
        Value[payments.PaymentRow](lambda payment: payment.status),
        description="The state of the payment.",
        cost=Cost(selects=4),
    )
    method: PaymentMethodKind = column(models.Payment.method, "The method of payment.")
    payer: Payer | None = field(
        Value[payments.PaymentRow](lambda payment: payment.payer),
        description="Who pays. Null for payments by other methods than card and credit, whose payer"
        " is not recorded.",
    )
    card: PaymentCard | None = field(
        Embedded(payments.CardRow, when=payments.has_card),
        description="The card; null if the payment was made in another way, or by another person"
        " with a card that is not shared with the viewer.",
        cost=Cost(selects=1),
    )
    created_at: dt.datetime = column(
        models.Payment.created_at,
        "When the payment was started.",
    )
    created_on: dt.date = column(
        models.Payment.created_on,
        "The day on which the payment was started, in the practice's time zone.",
    )
    paid_at: dt.datetime | None = column(
        models.Payment.paid_at,
        "When the money moved; null if it has not moved.",
    )
    failure: PaymentFailure | None = field(
        Embedded(payments.FailureRow, when=payments.has_failed),
        description="The reason for the failure; null if the payment did not fail.",
    )
    allocations: list[PaymentAllocation] = field(
        ToMany(payments.allocations),
        description="The amount paid on each invoice, oldest invoice first, including the unused"
        " credit that was applied with the payment.",
        cost=Cost(selects=5),
    )
    refunded: Money = field(
        Embedded[payments.PaymentRow](lambda payment: Amount(payment.refunds["total"])),
        description="The amount refunded.",
        cost=Cost(selects=4),
    )
    disputed_amount: Money = field(
        Embedded[payments.PaymentRow](lambda payment: Amount(payment.disputes["total"])),
        description="The amount that the cardholder disputes at the bank, or that the bank"
        " has given back to the cardholder; 0 again once the practice has won the dispute.",
        cost=Cost(selects=4),
    )
    processor_fee: Money | None = field(
        Embedded(payments.processor_fee, when=payments.has_processor_fee),
        description="The part of the charge that Stripe keeps as its fee; null while Stripe has not"
        " told it, which may take a day, and where Stripe books the charge in another currency.",
        scopes=AGGREGATES,
    )
    receipt: LazyReceipt | None = field(
        ToOne(payments.receipt_of), description="The receipt; null if the payment did not succeed."
    )


@needs(BILLING)
@strawberry.type(
    description="A receipt, created for every successful payment; never edited or deleted."
)
class Receipt(Node):
    id: strawberry.ID = identity("rct")
    number: str = column(
        models.Receipt.number,
        "The number as printed, unique in the practice: `RCP-2026-0042`.",
        scopes=BILLING,
    )
    client: LazyClient = client
    payment: Payment = field(
        ToOne(payments.named_by), description="The payment that the receipt is for."
    )
    amount: Money = money_field(models.Receipt.amount_minor, "The amount paid.")
    paid_on: dt.date = column(
        models.Receipt.issued_on, "The day on which the money moved, in the practice's time zone."
    )
    issued_at: dt.datetime = column(models.Receipt.issued_at, "When the receipt was issued.")
    document: DocumentLink = document_field("rct")


payment = field(
    ToOne(payments.named_by),
    description="The payment that the entry belongs to; null if there is none.",
)
