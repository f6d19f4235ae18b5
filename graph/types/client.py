"""The client type, with everything that the billing page shows of a client."""

import datetime as dt
from typing import Annotated

import strawberry

import models
from billing.ledger.balance import BalanceTermKind, PermissionReason
from graph.connections import Connection, connection
from graph.fields import column, field
from graph.mutations.inputs import DateRange
from graph.node import Node, identity
from graph.types.access_log import AccessLogEntry
from graph.types.account_history import AccountHistoryConnection
from graph.types.invoice import Invoice
from graph.types.money import Money
from graph.types.payment import Payment, Receipt
from graph.types.payment_method import PaymentMethod
from graph.types.practice import (
    Begun,
    DocumentPeriod,
    InvoicesOrder,
    Issued,
    PastDue,
    PaymentStatuses,
    Practice,
    ReceiptDays,
    Statuses,
    practice,
)
from graph.types.provider import Address, Clinician, address_field, clinician
from graph.types.statement import Statement
from graph.types.superbill import Superbill
from models import EntryKind
from planner.sources import Embedded, EmbeddedList, ToMany, ToOne, Value
from resolvers import access_log as access_log_rows
from resolvers import account_history as account_history_rows
from resolvers import balances, clients, invoices, payments, superbills
from resolvers import payment_methods as payment_method_rows
from resolvers import statements as statement_rows
from resolvers.field_facts import BILLING, PHI, Cost, needs
from resolvers.money import Amount
from resolvers.payments import receipts as receipts_of_client


@needs(BILLING)
@strawberry.type(description="Whether the viewer may perform an action for this client now.")
class Permission:
    is_allowed: bool = field(
        Value[clients.PermissionRow](lambda permission: permission.is_allowed),
        description="Whether the action is allowed.",
        cost=Cost(selects=14),
    )
    reason: PermissionReason | None = field(
        Value[clients.PermissionRow](lambda permission: permission.reason),
        description="Why the action is not allowed; null if it is.",
        cost=Cost(selects=14),
    )


@needs(BILLING)
@strawberry.type(description="A part of the balance.")
class BalanceTerm:
    kind: BalanceTermKind = field(
        Value[balances.TermRow](lambda term: term.kind), description="The kind of this part."
    )
    amount: Money = field(
        Embedded[balances.TermRow](lambda term: term.amount),
        description="The signed amount; a positive amount is owed.",
    )


@needs(BILLING)
@strawberry.type(description="An invoice that is part of what Pay Now charges.")
class PayableInvoice:
    amount_due: Money = field(
        Embedded[balances.PayableInvoiceRow](lambda payable: Amount(payable.due)),
        description="The amount due, before unused credit is subtracted.",
    )
    invoice: Invoice | None = field(
        ToOne(balances.shared_invoice),
        description="The invoice; null if the practice has not shared it yet.",
    )


@needs(BILLING)
@strawberry.type(description="The amount that a client owes, and its parts.")
class Balance:
    amount: Money = field(
        Embedded[balances.BalanceRow](lambda balance: Amount(balance.account.balance)),
        description="The amount owed; a negative amount is a credit.",
        cost=Cost(selects=4),
    )
    terms: list[BalanceTerm] = field(
        EmbeddedList(balances.terms),
        description="One term of each kind, always in the same order; they add up to `amount`.",
        cost=Cost(selects=28, nesting=1),
    )
    payable: Money = field(
        Embedded[balances.BalanceRow](lambda balance: Amount(balance.client.account.payable)),
        description="The amount that Pay Now charges, as of now: everything that is due and not"
        " disputed, less unused credit; never negative. Send it as `expectedAmount`.",
        cost=Cost(selects=6, nesting=1),
    )
    invoices: list[PayableInvoice] = field(
        ToMany(balances.payable_invoices),
        description="The invoices that are due and not disputed, as of now, in the order in which"
        " Pay Now pays them. Their amounts less `creditApplied` add up to `payable`.",
    )
    credit_applied: Money = field(
        Embedded[balances.BalanceRow](
            lambda balance: Amount(balance.client.account.credit_applied)
        ),
        description="The unused credit that Pay Now subtracts, as of now.",
        cost=Cost(nesting=1),
    )
    uninvoiced: Money = field(
        Embedded[balances.BalanceRow](lambda balance: Amount(balance.client.uninvoiced["total"])),
        description="The fees of sessions that are not invoiced yet, as of now. They are not part"
        " of the balance.",
        cost=Cost(selects=5),
    )


@needs(BILLING)
@strawberry.type(
    description="A person in therapy, with their bills and payments. All data of a client needs"
    " `billing:read`; some fields need another scope as well."
)
class Client(Node):
    id: strawberry.ID = identity("cli")
    name: str = column(models.Client.name, "The client's name. Needs `phi:read`.", scopes=PHI)
    email: str | None = column(
        models.Client.email,
        "The client's e-mail address. Needs `phi:read`.",
        scopes=PHI,
    )
    phone: str | None = column(
        models.Client.phone,
        "The client's telephone number. Needs `phi:read`.",
        scopes=PHI,
    )
    date_of_birth: dt.date | None = column(
        models.Client.date_of_birth,
        "The client's date of birth. Needs `phi:read`.",
        scopes=PHI,
    )
    address: Address | None = address_field(scopes=PHI)
    archived_on: dt.date | None = column(
        models.Client.archived_on,
        "The day on which the client left the practice; null for current clients.",
    )
    practice: Practice = practice
    clinician: Clinician | None = clinician

    balance: Balance = field(
        Embedded(balances.balance, subqueries=lambda balance: balance.sums),
        arguments={
            "as_of": Annotated[
                dt.date | None,
                strawberry.argument(
                    description="The day, at the end of which `amount` and `terms` are reported;"
                    " by the days on which entries were posted. The default is now; a later day is"
                    " an error."
                ),
            ]
        },
        description="The amount that the client owes.",
    )

    can_pay: Permission = field(
        Embedded(clients.can_pay),
        description="Whether this viewer may pay the balance now.",
        cost=Cost(nesting=1),
    )
    can_add_card: Permission = field(
        Embedded(clients.can_add_card),
        description="Whether this viewer may save a card on file.",
        cost=Cost(selects=2),
    )
    payment_methods: list[PaymentMethod] = field(
        ToMany(payment_method_rows.of_client),
        description="The cards on file for the client that the viewer may see: their own, and those"
        " that others share; the viewer's default card first, then the newest. Cards are stored in"
        " the practice's Stripe account. After the practice has changed to another account, the"
        " cards of the former account are not listed and cannot be charged.",
    )
    default_payment_method: PaymentMethod | None = field(
        ToOne(payment_method_rows.default),
        description="The viewer's Default Card for the client; null if the viewer has no card on"
        " file. For a program, the client's own.",
    )
    cards_to_pay_with: list[PaymentMethod] = field(
        ToMany(payment_method_rows.to_pay_with),
        description="The cards that the viewer may pay for the client with: `paymentMethods`, and"
        " the viewer's own cards for other clients. Empty for a program.",
    )

    invoices: Connection[Invoice] = connection(
        invoices.of_client,
        filters={
            "date_range": Issued,
            "status": Statuses,
            "past_due": PastDue,
            "order_by": InvoicesOrder,
        },
        description="Invoices, newest first by default.",
    )

    statements: Connection[Statement] = connection(
        statement_rows.statements,
        filters={"date_range": DocumentPeriod},
        description="Statements, newest first.",
    )

    superbills: Connection[Superbill] = connection(
        superbills.of_client,
        filters={"date_range": DocumentPeriod},
        description="Superbills, newest first.",
    )

    active_payment: Payment | None = field(
        ToOne(payments.active),
        description="The payment in progress; null if there is none that the viewer may see. Its"
        " payer can resume or cancel it after a page reload.",
    )

    payments: Connection[Payment] = connection(
        payments.of_client,
        filters={"date_range": Begun, "status": PaymentStatuses},
        description="Payments, newest first.",
    )

    receipts: Connection[Receipt] = connection(
        receipts_of_client,
        filters={"date_range": ReceiptDays},
        description="Receipts, newest first.",
    )

    access_log: Connection[AccessLogEntry] = connection(
        access_log_rows.of_client,
        description="The audit log of access to this client's data, newest first. A read appears"
        " within a second or two. Reads of a dashboard over the whole practice are recorded"
        " without naming clients and do not appear here.",
    )

    account_history: AccountHistoryConnection = connection(
        account_history_rows.of_client,
        tells_start=True,
        filters={
            "date_range": Annotated[
                DateRange | None,
                strawberry.argument(
                    description="Only entries listed under these days, and charges and payments of"
                    " these days that were posted later. If omitted or null: entries since 30 days"
                    " ago. `{}` selects all entries."
                ),
            ],
            "kind": Annotated[
                list[EntryKind] | None,
                strawberry.argument(description="Only entries of these kinds."),
            ],
        },
        description="The account history, newest first: everything that changed the balance,"
        " sessions that are not invoiced yet, and payments that are pending or failed.",
    )
