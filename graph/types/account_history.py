"""The account history."""

import datetime as dt

import strawberry

from billing.ledger.history import HistoryStatus
from graph.connections import PAGE, Connection, Edge, edges_field, nodes_field, total_count_field
from graph.fields import field
from graph.node import Node, identity
from graph.types.invoice import Invoice, Session, invoice, session
from graph.types.money import Money
from graph.types.payment import LazyClient, Payment, client, payment
from models import EntryKind
from planner.sources import Embedded, Value
from resolvers.account_history import HistoryRow
from resolvers.field_facts import BILLING, PHI, Cost, needs
from resolvers.money import Amount


@needs(BILLING)
@strawberry.type(description="A movement of the account, or a session that is not invoiced yet.")
class AccountHistoryEntry(Node):
    id: strawberry.ID = identity("aht")
    date: dt.date = field(
        Value[HistoryRow](lambda entry: entry.c.date),
        description="The day that the entry is listed under, in the practice's time zone: the day"
        " on which it was posted, or the day of a session that is not invoiced yet.",
    )
    service_date: dt.date | None = field(
        Value[HistoryRow](lambda entry: entry.service_date),
        description="The day of a session or another charge; null for other entries.",
    )
    paid_on: dt.date | None = field(
        Value[HistoryRow](lambda entry: entry.paid_on),
        description="The day on which the money of a payment, refund or dispute moved; null for"
        " other entries, and for payments that are pending or failed.",
    )
    posted_on: dt.date | None = field(
        Value[HistoryRow](lambda entry: entry.c.posted_on),
        description="The day on which the entry was posted, so that it changed the balance; null"
        " if it has not changed it.",
    )
    kind: EntryKind = field(
        Value[HistoryRow](lambda entry: entry.c.kind), description="The kind of entry."
    )
    description: str = field(
        Value[HistoryRow](lambda entry: entry.c.description),
        description="A description of the entry.",
        scopes=PHI,
    )
    amount: Money = field(
        Embedded[HistoryRow](lambda entry: Amount(entry.c.amount_minor)),
        description="The amount; negative for money received. A session that is not invoiced yet"
        " has its fee, and a payment that is pending or failed the amount to be paid.",
    )
    balance_change: Money = field(
        Embedded[HistoryRow](lambda entry: Amount(entry.c.change_minor)),
        description="The change of the balance: `amount`, or zero for a session that is not"
        " invoiced yet and for a payment that is pending or failed.",
    )
    status: HistoryStatus | None = field(
        Value[HistoryRow](lambda entry: entry.status),
        description="The status; null if there is none. A session or charge has the status of its"
        " invoice, and a payment that of its disputes, if there are any that the practice has not"
        " won.",
        cost=Cost(selects=8),
    )
    balance_after: Money = field(
        Embedded[HistoryRow](lambda entry: entry.balance_after),
        description="The balance after the entry.",
        cost=Cost(selects=2),
    )
    session: Session | None = session
    invoice: Invoice | None = invoice
    payment: Payment | None = payment
    client: LazyClient = client


@strawberry.type(description=PAGE)
class AccountHistoryConnection(Connection[AccountHistoryEntry]):
    """The only connection that is not named after its node type.

    Its rows come from three tables, and each has the balance after it.
    """

    edges: list[Edge[AccountHistoryEntry]] = edges_field(cost=Cost(selects=11))
    nodes: list[AccountHistoryEntry] = nodes_field(cost=Cost(selects=11))
    total_count: int = total_count_field(cost=Cost(selects=10))
