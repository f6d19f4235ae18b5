"""The account history."""

import datetime as dt

import strawberry

from billing.history import HistoryStatus
from graph.invoice import Invoice, Session, invoice, session
from graph.money import Money, money
from graph.node import Node, identity
from graph.payment import Payment, payment
from models import EntryKind
from resolvers.planner.sources import Value, column, field


@strawberry.type(description="One movement of the account, or a session that is not invoiced yet.")
class AccountHistoryEntry(Node):
    id: strawberry.ID = identity("aht")
    date: dt.date = column("date", "The day, in the practice's time zone.")
    kind: EntryKind = column("kind", "What it is.")
    description: str = column("description", "What it was, in words.")
    amount: Money = money(
        "amount_minor",
        "By what it moved the balance; zero for a session not invoiced and for a payment that is"
        " pending or failed.",
    )
    status: HistoryStatus | None = field(
        Value(lambda entry: entry.status),
        description="A session's and a charge's follows its invoice. Null where there is none.",
    )
    balance_after: Money = money(lambda entry: entry.balance_after, "The balance after it.")
    session: Session | None = session
    invoice: Invoice | None = invoice
    payment: Payment | None = payment
