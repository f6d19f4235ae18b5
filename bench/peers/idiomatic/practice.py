"""The practice: its invoices, and its revenue."""

import datetime as dt
from typing import Any

import strawberry
from graphql import GraphQLError

from bench.peers.idiomatic import enums as enums
from bench.peers.idiomatic import lists
from bench.peers.idiomatic.accounts import Invoice
from bench.peers.idiomatic.context import Context, Info
from bench.peers.idiomatic.money import Money
from bench.peers.idiomatic.pages import (
    MOST_OF_PRACTICE,
    Connection,
    DateRange,
    Node,
    days,
    page,
)
from bench.peers.idiomatic.sums import FLOWING
from billing.ledger.periods import Period, Span, split_into_periods
from billing.ledger.revenue import FLOWS
from models import Scope


@strawberry.type
class RevenuePeriod:
    start: dt.date
    end: dt.date
    invoiced: Money
    collected: Money
    refunded: Money
    charged_back: Money
    written_off: Money

    @classmethod
    def of(cls, span: Span, sums: Any, context: Context) -> "RevenuePeriod":
        flows = {name: context.money(getattr(sums, name, 0)) for name in FLOWS}
        return cls(start=span[0], end=span[1], **flows)

    @strawberry.field
    async def outstanding_at_end(self, info: Info) -> Money:
        return info.context.money(await info.context.loaders.due_after.load(self.end))


@strawberry.type
class Practice(Node):
    @strawberry.field
    async def invoices(
        self, info: Info, first: int | None = None, date_range: DateRange | None = None
    ) -> Connection[Invoice]:
        context = info.context
        context.viewer.needs(Scope.BILLING_READ)
        listed = lists.invoices(context.viewer.kind, of_client=False)
        return await page(
            context, listed, first, Invoice.of, days(date_range), most=MOST_OF_PRACTICE
        )

    @strawberry.field
    async def revenue(
        self, info: Info, date_range: DateRange, group_by: Period = Period.MONTH
    ) -> list[RevenuePeriod]:
        context = info.context
        context.viewer.needs(Scope.AGGREGATES_READ)
        if date_range.gte is None or date_range.lte is None:
            raise GraphQLError("both ends of the range are needed, gte and lte")
        spans = list(split_into_periods(date_range.gte, date_range.lte, group_by))
        starts = [start for start, _ in spans]
        rows = await context.sight.rows(FLOWING, days=starts, **date_range.days)
        sums = {row.period: row for row in rows}
        return [
            RevenuePeriod.of(span, sums.get(number), context)
            for number, span in enumerate(spans, start=1)
        ]
