"""Sums over the whole practice, for dashboards."""

import datetime as dt
from typing import Annotated

import strawberry

from graph.fields import field
from graph.mutations.inputs import DateRange
from graph.types.money import Money
from planner.sources import Embedded, Value
from resolvers.aging import AgingRow
from resolvers.field_facts import AGGREGATES, needs
from resolvers.money import Amount
from resolvers.revenue import RevenueRow


@needs(AGGREGATES)
@strawberry.type(
    description="The practice's money in one period. Every movement counts on its own date in the"
    " practice's time zone; an invoiced session counts on the day that it took place."
)
class RevenuePeriod:
    start: dt.date = field(
        Value[RevenueRow](lambda period: period.start), description="The first day of the period."
    )
    end: dt.date = field(
        Value[RevenueRow](lambda period: period.end),
        description="The last day of the period, inclusive.",
    )
    invoiced: Money = field(
        Embedded[RevenueRow](lambda period: Amount(period.flows["invoiced"])),
        description="The sum of invoice lines, less the lines of invoices voided in the period.",
    )
    collected: Money = field(
        Embedded[RevenueRow](lambda period: Amount(period.flows["collected"])),
        description="Money received by payments, on the day that it moved and regardless of its"
        " purpose; refunds are not subtracted. With `clinicianId`: the amounts allocated to the"
        " therapist's invoices, on the day of allocation, from payments and from unused credit,"
        " less the amounts that voids returned to unused credit. The sum over all therapists"
        " therefore excludes money that is not allocated to an invoice yet and money allocated to"
        " invoices without a therapist. It includes credits given by the practice, once they are"
        " allocated to an invoice.",
    )
    refunded: Money = field(
        Embedded[RevenueRow](lambda period: Amount(period.flows["refunded"])),
        description="Money paid back by refunds, on the day of the refund. With `clinicianId`: the"
        " part taken back from the therapist's invoices; refunds of unused credit then belong to"
        " no therapist.",
    )
    charged_back: Money = field(
        Embedded[RevenueRow](lambda period: Amount(period.flows["charged_back"])),
        description="Money that banks took back because of disputes, less the money that they"
        " returned when a dispute was won. With `clinicianId`: the part taken back from the"
        " therapist's invoices.",
    )
    written_off: Money = field(
        Embedded[RevenueRow](lambda period: Amount(period.flows["written_off"])),
        description="The amount of invoices that was written off; negative if more write-offs were"
        " reversed than made.",
    )
    outstanding_at_end: Money = field(
        Embedded[RevenueRow](lambda period: Amount(period.due["total"])),
        description="The amount due at the end of the period's last day, on all invoices issued by"
        " then: their lines with all write-offs and adjustments up to that day, less the amounts"
        " allocated to them. Unused credit is not subtracted. At the end of today it equals the"
        " sum of `amountDue` over all invoices, unless there are entries with a future date. For"
        " any day it equals `total` of `aging`. It changes by more than the other amounts of the"
        " period: adjustments and disputes change it too, and a session's line counts here only"
        " once its invoice is issued.",
    )


@needs(AGGREGATES)
@strawberry.type(
    description="The amounts due at the end of a day, on all invoices issued by that day, by the"
    " number of days that each invoice was past due. Later voids, payments and refunds do not"
    " change them."
)
class Aging:
    as_of: dt.date = field(
        Value[AgingRow](lambda aging: aging.as_of), description="The day of the report."
    )
    current: Money = field(
        Embedded[AgingRow](lambda row: Amount(row.c.not_due)),
        description="Invoices that are not past due, or have no due date.",
    )
    days_1_to_30: Money = field(
        Embedded[AgingRow](lambda row: Amount(row.c.days_1_to_30)),
        description="Invoices 1 to 30 days past due.",
    )
    days_31_to_60: Money = field(
        Embedded[AgingRow](lambda row: Amount(row.c.days_31_to_60)),
        description="Invoices 31 to 60 days past due.",
    )
    days_61_to_90: Money = field(
        Embedded[AgingRow](lambda row: Amount(row.c.days_61_to_90)),
        description="Invoices 61 to 90 days past due.",
    )
    over_90: Money = field(
        Embedded[AgingRow](lambda row: Amount(row.c.over_90)),
        description="Invoices more than 90 days past due.",
    )
    total: Money = field(
        Embedded[AgingRow](lambda row: Amount(row.c.total)),
        description="The sum of the other amounts. Unused credit is not subtracted.",
    )


Reported = Annotated[
    DateRange, strawberry.argument(description="The days to report on; both ends are required.")
]
AsOf = Annotated[
    dt.date | None,
    strawberry.argument(
        description="The day, at the end of which amounts are reported. The default is today; a"
        " later day is an error."
    ),
]
