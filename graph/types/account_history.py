"""The account history."""

import datetime as dt

import strawberry

from billing.ledger.history import HistoryStatus
from graph.node import Node, identity
from graph.types.invoice import Invoice, Session, invoice, session
from graph.types.money import Money, money_field
from graph.types.payment import Payment, payment
from models import EntryKind
from planner.sources import Value, column, field


@strawberry.type(description="A movement of the account, or a session that is not invoiced yet.")
class AccountHistoryEntry(Node):
    id: strawberry.ID = identity("aht")
    date: dt.date = column("date", "The day, in the practice's time zone.")
    kind: EntryKind = column("kind", "The kind of entry.")
    description: str = column("description", "A description of the entry.")
    amount: Money = money_field(
        "amount_minor",
        "The change of the balance; zero for a session that is not invoiced yet and for a payment"
        " that is pending or failed.",
    )
    status: HistoryStatus | None = field(
        Value(lambda entry: entry.status),
        description="The status; null if there is none. A session or charge has the status of its"
        " invoice.",
    )
    balance_after: Money = money_field(
        lambda entry: entry.balance_after, "The balance after the entry."
    )
    session: Session | None = session
    invoice: Invoice | None = invoice
    payment: Payment | None = payment
