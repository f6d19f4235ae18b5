"""Statements of a month: for each client with movements or an open balance."""

from sqlalchemy import ColumnElement, and_, exists, or_, select

from billing.entry.commands import ClientEntries
from billing.entry.statements import StatementPeriod, is_worth_a_statement, issue_statement
from billing.issuing.monthly import MonthlyDocuments
from billing.issuing.months import BillingMonth
from billing.ledger.invoices import total
from models import Client, DocumentKind, LedgerEntry, Statement


def may_get_statement(practice_id: str, month: BillingMonth) -> ColumnElement[bool]:
    """Return whether a client has movements or a balance, and no statement of the month."""
    of_client = LedgerEntry.practice_id == practice_id, LedgerEntry.client_id == Client.id
    moved = exists().where(*of_client, LedgerEntry.posted_on.between(month.first, month.last))
    balance = (
        select(total(LedgerEntry.amount_minor))
        .where(*of_client, LedgerEntry.posted_on < month.first)
        .scalar_subquery()
    )
    issued = exists().where(of_month(practice_id, month), Statement.client_id == Client.id)
    return and_(~issued, or_(moved, balance != 0))


def of_month(practice_id: str, month: BillingMonth) -> ColumnElement[bool]:
    """Return the condition for statements with the whole month in their period."""
    return and_(
        Statement.practice_id == practice_id,
        Statement.period_start <= month.first,
        Statement.period_end >= month.last,
    )


async def issue_monthly_statement(entries: ClientEntries, month: BillingMonth) -> int:
    """Issue a client's statement of a month, unless there is one."""
    ledger = entries.ledger
    condition = of_month(entries.facts.id, month), Statement.client_id == ledger.id
    if await entries.conn.scalar(select(Statement.id).where(*condition).limit(1)) is not None:
        return 0
    if not is_worth_a_statement(ledger, month.first, month.last):
        return 0
    await entries.enter(issue_statement, StatementPeriod(month.first, month.last))
    return 1


STATEMENTS = MonthlyDocuments(
    DocumentKind.STATEMENT, "statement", may_get_statement, issue_monthly_statement
)
