"""Statements: snapshots of a period."""

import datetime as dt

import strawberry

import models
from graph.fields import column, field
from graph.node import Node, identity
from graph.types.document import DocumentLink, document_field
from graph.types.money import Money, money_field
from graph.types.payment import LazyClient, client
from graph.types.provider import Provider, provider
from planner.sources import ToMany
from resolvers import statements
from resolvers.field_facts import BILLING, PHI, needs


@needs(BILLING)
@strawberry.type(description="An entry in the timeline of a statement.")
class StatementLine:
    date: dt.date = column(models.StatementLine.date, "The day of the entry.")
    description: str = column(
        models.StatementLine.description, "A description of the entry.", scopes=PHI
    )
    invoice_number: str | None = column(
        models.StatementLine.invoice_number,
        "The number of the invoice that the entry belongs to; null if there is none.",
        scopes=BILLING,
    )
    invoiced: Money = money_field(
        models.StatementLine.invoiced_minor, "The amount that the entry added to the account."
    )
    paid: Money = money_field(
        models.StatementLine.paid_minor, "The amount that the entry subtracted from the account."
    )
    balance_after: Money = money_field(
        models.StatementLine.balance_after_minor, "The balance after the entry."
    )


@needs(BILLING)
@strawberry.type(
    description="A frozen snapshot of an account over a period: later events do not change it. A"
    " statement is not a bill. `endingBalance` = `beginningBalance` + `totalInvoiced` -"
    " `totalPaid`."
)
class Statement(Node):
    id: strawberry.ID = identity("stm")
    number: str = column(
        models.Statement.number,
        "The number as printed, unique in the practice: `STM-2026-0042`.",
        scopes=BILLING,
    )
    client: LazyClient = client
    provider: Provider = provider
    issued_on: dt.date = column(models.Statement.issued_on, "The day of issue.")
    period_start: dt.date = column(models.Statement.period_start, "The first day of the period.")
    period_end: dt.date = column(models.Statement.period_end, "The last day of the period.")
    beginning_balance: Money = money_field(
        models.Statement.beginning_minor, "The balance before the period."
    )
    total_invoiced: Money = money_field(
        models.Statement.invoiced_minor,
        "The amount invoiced, net of voids, write-offs and adjustments.",
    )
    total_paid: Money = money_field(models.Statement.paid_minor, "The amount paid, net of refunds.")
    ending_balance: Money = money_field(
        models.Statement.ending_minor, "The balance at the end of the period."
    )
    lines: list[StatementLine] = field(
        ToMany(statements.statement_lines),
        description="The entries of the timeline, in printed order.",
    )
    document: DocumentLink = document_field("stm")
