"""Payments, what they paid, and their receipts."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from billing.payments import PaymentStatus
from graph.document import DocumentLink, document
from graph.money import Money, money
from graph.node import Node, identity
from models import CardBrand, DeclineReason, PaymentMethodKind
from resolvers import clients, invoices, payments
from resolvers.money import Amount
from resolvers.planner.sources import Many, One, Part, Value, column, field
from resolvers.planner.texts import instant

if TYPE_CHECKING:
    from graph.client import Client
    from graph.invoice import Invoice

LazyClient = Annotated["Client", strawberry.lazy("graph.client")]
LazyInvoice = Annotated["Invoice", strawberry.lazy("graph.invoice")]
LazyReceipt = Annotated["Receipt", strawberry.lazy("graph.payment")]
client = field(One(clients.client_of), description="Whose it is.")


@strawberry.type(description="The card that a payment was made with, as it was then.")
class PaymentCard:
    brand: CardBrand = field(Value(lambda card: card.brand), description="The network.")
    last4: str = field(Value(lambda card: card.last4), description="The number's last four digits.")


@strawberry.type(description="What a payment put toward an invoice, less what was taken back.")
class PaymentAllocation:
    invoice: LazyInvoice = field(One(invoices.named_by), description="The invoice.")
    amount: Money = money("amount_minor", "How much of it.")


@strawberry.type(description="Why a payment failed.")
class PaymentFailure:
    reason: DeclineReason = field(Value(lambda failure: failure.reason), description="As a code.")
    message: str = field(
        Value(lambda failure: failure.message), description="In words for the cardholder."
    )


@strawberry.type(description="Money from a client, or the attempt at it.")
class Payment(Node):
    id: strawberry.ID = identity("pmt")
    client: LazyClient = client
    amount: Money = money("amount_minor", "What is or would be charged.")
    status: PaymentStatus = field(
        Value(lambda payment: payment.status), description="How it stands."
    )
    method: PaymentMethodKind = column("method", "How it was paid.")
    card: PaymentCard | None = field(
        Part(payments.CardRow, when=payments.has_card),
        description="The card; null where it was paid in another way.",
    )
    created_at: dt.datetime = field(
        Value(lambda payment: instant(payment.c.created_at)), description="When it was begun."
    )
    created_on: dt.date = column("created_on", "The day it was begun, in the practice's time zone.")
    paid_at: dt.datetime | None = field(
        Value(lambda payment: instant(payment.c.paid_at)),
        description="When the money moved; null where it did not (yet).",
    )
    failure: PaymentFailure | None = field(
        Part(payments.FailureRow, when=payments.has_failed),
        description="Why it failed; null where it did not.",
    )
    allocations: list[PaymentAllocation] = field(
        Many(payments.allocations),
        description="What it paid of each invoice, the oldest first, with the unused credit that"
        " went with it.",
    )
    refunded: Money = money(
        lambda payment: Amount(payment.refunds["total"]), "What was given back of it."
    )
    receipt: LazyReceipt | None = field(
        One(payments.receipt_of), description="Its receipt; null where it did not succeed."
    )


@strawberry.type(description="Made for every payment that succeeds; never edited or deleted.")
class Receipt(Node):
    id: strawberry.ID = identity("rct")
    number: str = column("number", "As printed, unique in the practice: `RCP-2026-0042`.")
    client: LazyClient = client
    payment: Payment = field(One(payments.named_by), description="The payment that it is for.")
    amount: Money = money("amount_minor", "What was paid.")
    issued_at: dt.datetime = field(
        Value(lambda receipt: instant(receipt.c.issued_at)), description="When it was made."
    )
    document: DocumentLink = document("rct")


payment = field(
    One(payments.named_by), description="The payment that it is of; null where it is of none."
)
