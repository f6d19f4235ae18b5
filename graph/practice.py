"""The practice, and what a dashboard reads over all of it."""

from typing import Annotated

import strawberry

from billing.invoices import InvoiceStatus
from billing.payments import PaymentsMode, PaymentStatus
from billing.periods import Period
from graph.aggregates import Aging, AsOf, Reported, RevenuePeriod
from graph.connections import After, Before, Connection, First, Last
from graph.inputs import DateRange, InvoiceOrder
from graph.invoice import Invoice
from graph.money import Money, money
from graph.node import Node, identity
from graph.payment import Payment
from graph.provider import Address, Clinician, address
from graph.scalars import CurrencyCode
from resolvers import aging, invoices, online, payments, revenue, versions, viewers
from resolvers.planner.sources import Many, One, Paged, Part, Value, Viewed, column, field, planned

WHOLE_PRACTICE = 500

Issued = Annotated[
    DateRange | None, strawberry.argument(description="Only those issued in these days.")
]
Begun = Annotated[
    DateRange | None, strawberry.argument(description="Only those begun in these days.")
]
Statuses = Annotated[
    list[InvoiceStatus] | None,
    strawberry.argument(
        description="Only of these statuses. Over a whole practice, a dashboard's costs 0.07 for"
        " each invoice of it."
    ),
]
PaymentStatuses = Annotated[
    list[PaymentStatus] | None, strawberry.argument(description="Only of these statuses.")
]
PastDue = Annotated[
    bool | None,
    strawberry.argument(
        description="Only those that are past due, or not. Over a whole practice, a dashboard's"
        " costs 0.07 for each invoice of it."
    ),
]
Therapist = Annotated[
    strawberry.ID | None, strawberry.argument(description="Only of this therapist's: `cln_…`.")
]
InvoicesOrder = Annotated[InvoiceOrder | None, strawberry.argument(description="Their order.")]


ChangedSince = Annotated[
    str | None,
    strawberry.argument(
        description="Only those changed after this version, which `version` gave before."
    ),
]


@strawberry.type(description="Whether and how the practice takes payments online.")
class OnlinePayments:
    is_enabled: bool = field(
        Value(lambda online: online.is_enabled), description="Whether Pay Now exists at all."
    )
    mode: PaymentsMode = field(
        Value(lambda online: online.mode), description="Where card payments go."
    )
    publishable_key: str | None = field(
        Value(lambda online: online.publishable_key),
        description="What Stripe.js is started with; null where it isn't needed.",
    )
    stripe_account: str | None = field(
        Value(lambda online: online.stripe_account),
        description="What Stripe.js is started with beside the key, as `stripeAccount`; null where"
        " the key is the practice's own.",
    )
    stripe_js: str | None = field(
        Value(lambda online: online.stripe_js),
        description="Address of the release of Stripe.js that fits this server; null where the mode"
        " is OFF or SANDBOX.",
    )
    stripe_decimals: int = field(
        Value(lambda online: online.stripe_decimals),
        description="How many decimals an amount of the practice's currency has at Stripe: 0, 2 or"
        " 3. Stripe.js takes amounts as integers with so many decimals.",
    )
    can_remove_cards: bool = field(
        Value(lambda online: online.can_remove_cards),
        description="Whether clients may remove cards on file.",
    )
    consent_text: str = field(
        Value(lambda online: online.consent_text),
        description="What a client agrees to by keeping a card; to be shown beside Save Card.",
    )
    minimum: Money = money(
        lambda online: online.minimum, "The smallest amount that a card can be charged."
    )


@strawberry.type(description="The practice whose bills these are.")
class Practice(Node):
    id: strawberry.ID = identity("pra")
    name: str = column("name", "The practice's name.")
    time_zone: str = column("time_zone", "IANA time zone that all its days are of.")
    currency: CurrencyCode = column("currency", "The currency of all its amounts.")
    address: Address | None = address
    phone: str | None = column("phone", "For questions about a bill.")
    email: str | None = column("email", "For questions about a bill.")
    online_payments: OnlinePayments = field(
        Part(online.OnlineRow), description="Whether and how it takes payments online."
    )
    clinicians: list[Clinician] = field(
        Many(viewers.clinicians), description="The practice's therapists."
    )
    version: str | None = field(
        Viewed(versions.of_practice),
        description="How far its invoices and payments have changed by now, for `changedSince` of"
        " the next query: each change after this answer has a higher version, whenever it began."
        " For dashboards; null for others.",
    )

    @planned(
        Paged(invoices.of_practice, most=WHOLE_PRACTICE),
        description="All invoices in sight, the newest first unless said; 500 at most at a time.",
    )
    def invoices(
        self,
        date_range: Issued = None,
        status: Statuses = None,
        past_due: PastDue = None,
        clinician_id: Therapist = None,
        order_by: InvoicesOrder = None,
        changed_since: ChangedSince = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Invoice]:
        raise AssertionError("its source answers")

    @planned(
        Paged(payments.of_practice, most=WHOLE_PRACTICE),
        description="All payments in sight, the newest first; 500 at most at a time.",
    )
    def payments(
        self,
        date_range: Begun = None,
        status: PaymentStatuses = None,
        changed_since: ChangedSince = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Payment]:
        raise AssertionError("its source answers")

    @planned(
        Many(revenue.of_practice, most=revenue.MOST),
        description="The practice's money by periods, the first first: one for each period of the"
        " range, whether or not anything happened in it, 400 at most. The first and the last end"
        " where the range does. Needs `aggregates:read`. Costs 0.04 for each invoice of the"
        " practice.",
    )
    def revenue(
        self,
        date_range: Reported,
        group_by: Annotated[
            Period, strawberry.argument(description="How long a period is.")
        ] = Period.MONTH,
        clinician_id: Therapist = None,
    ) -> list[RevenuePeriod]:
        raise AssertionError("its source answers")

    @planned(
        One(aging.of_practice),
        description="What is due of all invoices, by how late it is. Needs `aggregates:read`. Costs"
        " 0.02 for each invoice of the practice.",
    )
    def aging(self, as_of: AsOf = None, clinician_id: Therapist = None) -> Aging:
        raise AssertionError("its source answers")


practice = field(One(viewers.practice), description="The practice.")
