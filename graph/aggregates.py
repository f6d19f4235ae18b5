"""Sums over the whole practice, for dashboards."""

import datetime as dt
from typing import Annotated

import strawberry

from graph.inputs import DateRange
from graph.money import Money, money
from resolvers.money import Amount
from resolvers.planner.sources import Value, field


@strawberry.type(
    description="The practice's money in one period. Each amount is of the days of its movements in"
    " the practice's time zone: a session that is invoiced counts on the day that it took place."
)
class RevenuePeriod:
    start: dt.date = field(Value(lambda period: period.start), description="Its first day.")
    end: dt.date = field(
        Value(lambda period: period.end), description="Its last day, included in it."
    )
    invoiced: Money = money(
        lambda period: Amount(period.flows["invoiced"]),
        "What the lines of invoices ask for, less those of invoices voided in the period.",
    )
    collected: Money = money(
        lambda period: Amount(period.flows["collected"]),
        "Money that came in by payments, on the day that it did and whatever it was for; refunds"
        " are not taken off. With `clinicianId`: what was put toward the therapist's invoices, on"
        " the day that it was, out of payments and of unused credit, less what voids made unused"
        " credit again. So all therapists together leave out what is put toward no invoice yet and"
        " toward invoices without a therapist, and have the credits that the practice gave, once"
        " they are put toward an invoice.",
    )
    refunded: Money = money(
        lambda period: Amount(period.flows["refunded"]),
        "Money that went back by refunds, on the day that it did. With `clinicianId`: what of it"
        " was taken back from the therapist's invoices; refunds of unused credit are no therapist's"
        " then.",
    )
    written_off: Money = money(
        lambda period: Amount(period.flows["written_off"]),
        "What was given up of invoices; below zero, more was taken back than given up.",
    )
    outstanding_at_end: Money = money(
        lambda period: Amount(period.due["total"]),
        "What was due, at the end of the period's last day, of all invoices issued by then: what"
        " they asked for, written off and adjusted by then, less what was put toward them. Unused"
        " credit is not taken off. At the end of today it is the sum of all `amountDue`, unless"
        " something is entered of a day to come, and of any day the `total` of `aging`. It moves by"
        " more than the flows beside it: by adjustments and"
        " disputes, and a session's line counts here only once its invoice is issued.",
    )


@strawberry.type(
    description="What was due of all invoices issued by a day, at its end, by how many days past"
    " their due date they were then. What was voided, paid or refunded later is as it was."
)
class Aging:
    as_of: dt.date = field(Value(lambda aging: aging.as_of), description="The day.")
    current: Money = money("not_due", "Not past due, or without a due date.")
    days_1_to_30: Money = money("days_1_to_30", "1 to 30 days past due.")
    days_31_to_60: Money = money("days_31_to_60", "31 to 60 days past due.")
    days_61_to_90: Money = money("days_61_to_90", "61 to 90 days past due.")
    over_90: Money = money("over_90", "More than 90 days past due.")
    total: Money = money("total", "The sum of the others. Unused credit is not taken off.")


Reported = Annotated[
    DateRange, strawberry.argument(description="From when to when; both ends are needed.")
]
AsOf = Annotated[
    dt.date | None,
    strawberry.argument(description="As of the end of this day; today unless said, none later."),
]
