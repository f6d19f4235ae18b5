"""The practice type, with the lists and sums that dashboards read over the whole practice."""

from typing import Annotated

import strawberry

import models
from billing.ledger.invoices import InvoiceStatus
from billing.ledger.periods import Period
from billing.payments.status import PaymentsMode, PaymentStatus
from graph.connections import Connection, connection
from graph.fields import column, field
from graph.mutations.inputs import DateRange, InvoiceOrder
from graph.node import Node, identity
from graph.scalars import CurrencyCode
from graph.types.account_history import AccountHistoryConnection
from graph.types.invoice import Invoice, Session
from graph.types.money import Money
from graph.types.payment import Payment, Receipt
from graph.types.provider import Address, Clinician, address
from graph.types.reports import Aging, AsOf, Reported, RevenuePeriod
from graph.types.statement import Statement
from graph.types.superbill import Superbill
from models import EntryKind
from planner.sources import Embedded, ToMany, ToOne, Value, ViewerField
from planner.tables import RowOf
from resolvers import (
    account_history,
    aging,
    changed_since,
    invoices,
    payments,
    revenue,
    viewer_fields,
)
from resolvers import online_payments as online_payment_rows
from resolvers import sessions as session_rows
from resolvers import statements as statement_rows
from resolvers import superbills as superbill_rows
from resolvers.field_facts import NO_SCOPE, Cost, ReadAudit, Scan, needs
from resolvers.payments import receipts_of_practice

WHOLE_PRACTICE = 500

Issued = Annotated[
    DateRange | None, strawberry.argument(description="Only invoices issued on these days.")
]
Begun = Annotated[
    DateRange | None, strawberry.argument(description="Only payments started on these days.")
]
Statuses = Annotated[
    list[InvoiceStatus] | None,
    strawberry.argument(
        description="Only invoices with one of these statuses. For a dashboard's list of the whole"
        " practice, this filter costs 0.07 for each invoice of the practice."
    ),
]
PaymentStatuses = Annotated[
    list[PaymentStatus] | None,
    strawberry.argument(
        description="Only payments with one of these statuses. For a dashboard's list of the whole"
        " practice, this filter costs 0.01 for each payment of the practice."
    ),
]
PastDue = Annotated[
    bool | None,
    strawberry.argument(
        description="Only invoices that are past due (`true`), or that are not (`false`). For a"
        " dashboard's list of the whole practice, this filter costs 0.07 for each invoice of the"
        " practice."
    ),
]
DocumentPeriod = Annotated[
    DateRange | None,
    strawberry.argument(
        description="Only documents with a period that includes at least one of these days."
    ),
]
ReceiptDays = Annotated[
    DateRange | None, strawberry.argument(description="Only receipts issued on these days.")
]
Therapist = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Only invoices of this therapist: `cln_…`."),
]
InvoicesOrder = Annotated[InvoiceOrder | None, strawberry.argument(description="The sort order.")]


ChangedSince = Annotated[
    str | None,
    strawberry.argument(
        description="Only items that changed after this version, an earlier value of `version`."
    ),
]


@needs(NO_SCOPE)
@strawberry.type(
    description="The wallets that the card form offers, each on or off by the server's settings. A"
    " wallet gives a card; the device and the browser decide whether it is shown."
)
class Wallets:
    apple_pay: bool = field(
        Value[online_payment_rows.WalletsRow](lambda wallets: wallets.apple_pay),
        description="Whether Apple Pay is offered.",
    )
    google_pay: bool = field(
        Value[online_payment_rows.WalletsRow](lambda wallets: wallets.google_pay),
        description="Whether Google Pay is offered.",
    )
    link: bool = field(
        Value[online_payment_rows.WalletsRow](lambda wallets: wallets.link),
        description="Whether Link is offered, Stripe's own wallet.",
    )


@needs(NO_SCOPE)
@strawberry.type(description="The practice's settings for online payments.")
class OnlinePayments:
    is_enabled: bool = field(
        Value[online_payment_rows.OnlineRow](lambda online: online.is_enabled),
        description="Whether Pay Now is available at all.",
    )
    mode: PaymentsMode = field(
        Value[online_payment_rows.OnlineRow](lambda online: online.mode),
        description="The destination of card payments.",
    )
    publishable_key: str | None = field(
        Value[online_payment_rows.OnlineRow](lambda online: online.publishable_key),
        description="The key to initialize Stripe.js with; null if Stripe.js is not needed.",
        scopes=NO_SCOPE,
    )
    stripe_account: str | None = field(
        Value[online_payment_rows.OnlineRow](lambda online: online.stripe_account),
        description="The option `stripeAccount` to initialize Stripe.js with, in addition to the"
        " key; null if the key is the practice's own.",
        scopes=NO_SCOPE,
    )
    stripe_js: str | None = field(
        Value[online_payment_rows.OnlineRow](lambda online: online.stripe_js),
        description="The URL of the Stripe.js release that matches this server; null if the mode"
        " is OFF or SANDBOX.",
        scopes=NO_SCOPE,
    )
    stripe_decimals: int = field(
        Value[online_payment_rows.OnlineRow](lambda online: online.stripe_decimals),
        description="The number of decimals of the practice's currency at Stripe: 0, 2 or 3."
        " Stripe.js takes amounts as integers in units of the last decimal.",
    )
    wallets: Wallets = field(
        Embedded(online_payment_rows.WalletsRow),
        description="The wallets that the card form offers: the options `wallets` of Stripe's"
        " Payment Element, `auto` for true and `never` for false.",
    )
    can_remove_cards: bool = field(
        Value[online_payment_rows.OnlineRow](lambda online: online.can_remove_cards),
        description="Whether clients may remove cards on file.",
    )
    consent_text: str = field(
        Value[online_payment_rows.OnlineRow](lambda online: online.consent_text),
        description="The text that a client agrees to by saving a card. Show it next to Save Card.",
        scopes=NO_SCOPE,
    )
    minimum: Money = field(
        Embedded[online_payment_rows.OnlineRow](lambda online: online.minimum),
        description="The smallest amount that a card can be charged.",
        cost=Cost(selects=1),
    )


@strawberry.type(description="The practice that issues the bills.")
class Practice(Node):
    id: strawberry.ID = identity("pra", scopes=NO_SCOPE)
    name: str = column(models.Practice.name, "The practice's name.", scopes=NO_SCOPE)
    time_zone: str = column(
        models.Practice.time_zone,
        "The IANA time zone of all of the practice's dates.",
        scopes=NO_SCOPE,
    )
    currency: CurrencyCode = field(
        Value[RowOf[models.Practice]](lambda practice: practice.c.currency),
        description="The currency of all of the practice's amounts.",
        scopes=NO_SCOPE,
    )
    address: Address | None = address
    phone: str | None = column(
        models.Practice.phone,
        "The phone number for questions about a bill.",
        scopes=NO_SCOPE,
    )
    email: str | None = column(
        models.Practice.email,
        "The e-mail address for questions about a bill.",
        scopes=NO_SCOPE,
    )
    online_payments: OnlinePayments = field(
        Embedded(online_payment_rows.OnlineRow),
        description="The settings for online payments.",
        scopes=NO_SCOPE,
    )
    clinicians: list[Clinician] = field(
        ToMany(viewer_fields.clinicians),
        description="The practice's therapists.",
        scopes=NO_SCOPE,
        cost=Cost(nesting=0),
    )
    version: str | None = field(
        ViewerField(changed_since.of_practice),
        description="The current version of the practice's data, to be passed as `changedSince` in"
        " the next query. Every change that this response does not include has a higher version,"
        " regardless of when the change began. Only for dashboards and integrations; null for other"
        " viewers.",
        scopes=NO_SCOPE,
    )

    invoices: Connection[Invoice] = connection(
        invoices.of_practice,
        most=WHOLE_PRACTICE,
        audit=ReadAudit.PRACTICE_WIDE,
        filters={
            "date_range": Issued,
            "status": Statuses,
            "past_due": PastDue,
            "clinician_id": Therapist,
            "order_by": InvoicesOrder,
            "changed_since": ChangedSince,
        },
        description="All invoices that the viewer has access to, newest first by default; at most"
        " 500 per page.",
        cost=Cost(scan=Scan(models.Invoice, 0.07, {"status", "pastDue"})),
    )

    payments: Connection[Payment] = connection(
        payments.of_practice,
        most=WHOLE_PRACTICE,
        audit=ReadAudit.PRACTICE_WIDE,
        filters={"date_range": Begun, "status": PaymentStatuses, "changed_since": ChangedSince},
        description="All payments that the viewer has access to, newest first; at most 500 per"
        " page.",
        cost=Cost(scan=Scan(models.Payment, 0.01, {"status"})),
    )

    sessions: Connection[Session] = connection(
        session_rows.of_practice,
        most=WHOLE_PRACTICE,
        audit=ReadAudit.PRACTICE_WIDE,
        filters={
            "date_range": Annotated[
                DateRange | None,
                strawberry.argument(description="Only sessions of these days."),
            ],
            "changed_since": ChangedSince,
        },
        description="All sessions that the viewer has access to, newest first; at most 500 per"
        " page. A session also changes when it is invoiced, and when the invoice is voided.",
        cost=Cost(scan=Scan(models.Session)),
    )

    statements: Connection[Statement] = connection(
        statement_rows.of_practice,
        most=WHOLE_PRACTICE,
        audit=ReadAudit.PRACTICE_WIDE,
        filters={"date_range": DocumentPeriod, "changed_since": ChangedSince},
        description="All statements that the viewer has access to, newest first; at most 500 per"
        " page.",
        cost=Cost(scan=Scan(models.Statement)),
    )

    superbills: Connection[Superbill] = connection(
        superbill_rows.of_practice,
        most=WHOLE_PRACTICE,
        audit=ReadAudit.PRACTICE_WIDE,
        filters={"date_range": DocumentPeriod, "changed_since": ChangedSince},
        description="All superbills that the viewer has access to, newest first; at most 500 per"
        " page.",
        cost=Cost(scan=Scan(models.Superbill)),
    )

    receipts: Connection[Receipt] = connection(
        receipts_of_practice,
        most=WHOLE_PRACTICE,
        audit=ReadAudit.PRACTICE_WIDE,
        filters={"date_range": ReceiptDays, "changed_since": ChangedSince},
        description="All receipts that the viewer has access to, newest first; at most 500 per"
        " page. A receipt counts as changed when its payment changes, as by a refund.",
        cost=Cost(scan=Scan(models.Receipt)),
    )

    ledger: AccountHistoryConnection = connection(
        account_history.of_practice,
        most=WHOLE_PRACTICE,
        audit=ReadAudit.PRACTICE_WIDE,
        filters={
            "date_range": Annotated[
                DateRange | None,
                strawberry.argument(
                    description="Only entries posted on these days, and charges and payments of"
                    " these days that were posted later."
                ),
            ],
            "kind": Annotated[
                list[EntryKind] | None,
                strawberry.argument(
                    description="Only entries of these kinds. For a dashboard's list of the whole"
                    " practice, this filter costs 0.02 for each invoice of the practice."
                ),
            ],
        },
        description="The ledger of all clients that the viewer has access to, the entry posted last"
        " first; at most 500 per page.",
        cost=Cost(scan=Scan(models.Invoice, 0.02, {"kind"})),
    )

    revenue: list[RevenuePeriod] = field(
        ToMany(revenue.of_practice, most=revenue.MOST),
        audit=ReadAudit.PRACTICE_WIDE,
        arguments={
            "date_range": Reported,
            "group_by": Annotated[
                Period, strawberry.argument(description="The length of a period.")
            ],
            "clinician_id": Therapist,
        },
        defaults={"group_by": Period.MONTH},
        description="The practice's money by period, earliest first. Every period of the range is"
        " listed, including periods without any movement; at most 400. The first and the last"
        " period are cut off at the ends of the range. Needs `aggregates:read`. Costs 0.04 for"
        " each invoice of the practice.",
        cost=Cost(selects=20, scan=Scan(models.Invoice, 0.04)),
        sample_arguments='(dateRange: { gte: "2026-01-01", lte: "2026-12-31" })',
    )

    aging: Aging = field(
        ToOne(aging.of_practice),
        audit=ReadAudit.PRACTICE_WIDE,
        arguments={"as_of": AsOf, "clinician_id": Therapist},
        description="The amounts due on all invoices, by the number of days past due. Needs"
        " `aggregates:read`. Costs 0.02 for each invoice of the practice.",
        cost=Cost(selects=20, objects=400, scan=Scan(models.Invoice, 0.02)),
    )


practice = field(ToOne(viewer_fields.practice), description="The practice.", scopes=NO_SCOPE)
