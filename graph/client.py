"""A client, and all that the billing page shows of one."""

import datetime as dt
from typing import Annotated

import strawberry

from billing.accounts import BalanceTermKind, PermissionReason
from graph.access_log import AccessLogEntry
from graph.card import PaymentMethod
from graph.connections import PAGE, After, Before, Connection, First, Last
from graph.history import AccountHistoryEntry
from graph.inputs import DateRange
from graph.invoice import Invoice
from graph.money import Money, money
from graph.node import Node, identity
from graph.payment import Payment, Receipt
from graph.practice import (
    Begun,
    InvoicesOrder,
    Issued,
    PastDue,
    PaymentStatuses,
    Practice,
    Statuses,
    practice,
)
from graph.provider import Address, Clinician, address, clinician
from graph.statement import Statement
from graph.superbill import Superbill
from models import EntryKind
from resolvers import access, cards, clients, documents, history, invoices, payments, superbills
from resolvers.money import Amount
from resolvers.payments import receipts as receipts_of_client
from resolvers.planner.sources import Many, One, Paged, Part, Parts, Value, column, field, planned


@strawberry.type(description="Whether the viewer may do a thing for this client now.")
class Permission:
    is_allowed: bool = field(
        Value(lambda permission: permission.is_allowed), description="Whether they may."
    )
    reason: PermissionReason | None = field(
        Value(lambda permission: permission.reason), description="Why not; null where they may."
    )


@strawberry.type(description="A part of the balance.")
class BalanceTerm:
    kind: BalanceTermKind = field(Value(lambda term: term.kind), description="What it is.")
    amount: Money = money(lambda term: term.amount, "Signed: above zero it is owed.")


@strawberry.type(description="What a client owes, and what it is made of.")
class Balance:
    amount: Money = money(
        lambda client: Amount(client.account.balance), "What is owed; below zero: a credit."
    )
    payable: Money = money(
        lambda client: Amount(client.account.payable),
        "What Pay Now charges: all that is due and not disputed, less unused credit; never below"
        " zero."
        " Send it as `expectedAmount`.",
    )
    terms: list[BalanceTerm] = field(
        Parts(clients.terms),
        description="One of each kind, in this order; they add up to `amount`.",
    )
    uninvoiced: Money = money(
        lambda client: Amount(client.uninvoiced["total"]),
        "The fees of sessions that are on no invoice yet. They are outside the balance.",
    )


@strawberry.type(description=PAGE)
class AccountHistoryConnection(Connection[AccountHistoryEntry]):
    """The one connection that isn't named after its nodes."""


Period = Annotated[
    DateRange | None,
    strawberry.argument(description="Only those of whose period a day is among these."),
]


@strawberry.type(
    description="Somebody in therapy, whose bills these are. Whatever is of a client needs"
    " `billing:read`, and some of it another scope as well."
)
class Client(Node):
    id: strawberry.ID = identity("cli")
    name: str = column("name", "The client's name. Needs `phi:read`.")
    email: str | None = column("email", "The client's e-mail address. Needs `phi:read`.")
    phone: str | None = column("phone", "The client's telephone number. Needs `phi:read`.")
    date_of_birth: dt.date | None = column("date_of_birth", "Needs `phi:read`.")
    address: Address | None = address
    practice: Practice = practice
    clinician: Clinician | None = clinician
    balance: Balance = field(Part(lambda client: client), description="What the client owes.")
    can_pay: Permission = field(
        Part(clients.can_pay), description="Whether this viewer may pay the balance now."
    )
    can_add_card: Permission = field(
        Part(clients.can_add_card), description="Whether this viewer may keep a card on file."
    )
    payment_methods: list[PaymentMethod] = field(
        Many(cards.of_client),
        description="The cards on file, the default first, then the newest. Cards are kept in the"
        " practice's account at Stripe: after it has taken another account, the cards of the former"
        " one are not shown and can't pay.",
    )
    default_payment_method: PaymentMethod | None = field(
        One(cards.default), description="The Default Card; null where there is no card on file."
    )

    @planned(Paged(invoices.of_client), description="Invoices, the newest first unless said.")
    def invoices(
        self,
        date_range: Issued = None,
        status: Statuses = None,
        past_due: PastDue = None,
        order_by: InvoicesOrder = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Invoice]:
        raise AssertionError("its source answers")

    @planned(Paged(documents.statements), description="Statements, the newest first.")
    def statements(
        self,
        date_range: Period = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Statement]:
        raise AssertionError("its source answers")

    @planned(Paged(superbills.of_client), description="Superbills, the newest first.")
    def superbills(
        self,
        date_range: Period = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Superbill]:
        raise AssertionError("its source answers")

    active_payment: Payment | None = field(
        One(payments.active),
        description="A payment that is under way, to be resumed or cancelled after a reload.",
    )

    @planned(Paged(payments.of_client), description="Payments, the newest first.")
    def payments(
        self,
        date_range: Begun = None,
        status: PaymentStatuses = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Payment]:
        raise AssertionError("its source answers")

    @planned(Paged(receipts_of_client), description="Receipts, the newest first.")
    def receipts(
        self,
        date_range: Annotated[
            DateRange | None, strawberry.argument(description="Only those made in these days.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Receipt]:
        raise AssertionError("its source answers")

    @planned(
        Paged(access.of_client),
        description="Who looked at this client's data, or changed it, the newest first. A read is"
        " here within a second or two. What a dashboard reads over the whole practice is recorded"
        " without naming clients, and not here.",
    )
    def access_log(
        self,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AccessLogEntry]:
        raise AssertionError("its source answers")

    @planned(
        Paged(history.of_client, tells_start=True),
        description="The account history, the newest first: all that moved the balance, sessions"
        " not yet invoiced, and payments that are pending or failed.",
    )
    def account_history(
        self,
        date_range: Annotated[
            DateRange | None,
            strawberry.argument(
                description="Only entries of these days. Left out or null: since 30 days ago;"
                " `{}`: all."
            ),
        ] = None,
        kind: Annotated[
            list[EntryKind] | None, strawberry.argument(description="Only of these kinds.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> AccountHistoryConnection:
        raise AssertionError("its source answers")
