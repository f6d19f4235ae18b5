"""State machine of statements: random books over months, with statements at the ends of months."""

import datetime as dt
import random
from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from billing.entry.client_ledger import ClientMaker
from billing.entry.invoices import NewInvoice, NewLine
from billing.entry.statements import StatementPeriod, issue_statement
from identity.tokens import Subject
from models import READ_SCOPES, Statement
from tests.payments.state_machine import NewDatabase
from tests.payments.state_machine.bookkeeping import Bookkeeping
from tests.support.book_sums import Books

A_DAY = dt.timedelta(1)
ZONE = ZoneInfo("America/New_York")
MOST_DAYS = 25


class Statements(Bookkeeping):
    """The books of one client over some months. Their sums are compared at the end alone."""

    @initialize(seed=st.integers(0, 2**32))
    def open(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        super().open()

    def today(self) -> dt.date:
        return self.portal.clock().astimezone(ZONE).date()

    def new_invoice(self, amount: int) -> NewInvoice:
        """Return an invoice for an earlier day of service, which is due some time later."""
        today, chance = self.today(), self.chance
        served_on = today - chance.choice([0, 1, 70]) * A_DAY
        # Some days may pass before the invoice is issued.
        due_on = chance.choice([None, today + (MOST_DAYS + chance.randrange(40)) * A_DAY])
        lines = [NewLine("Session", amount, date=served_on)]
        return NewInvoice(lines, due_on=due_on, number=f"B-{len(self.invoices)}")

    async def enter(self, maker: ClientMaker[Any], wanted: Any) -> str | None:
        """Make an entry, before some of which days pass and a statement is issued."""
        if self.chance.random() < 0.5:
            await self.pass_time(self.chance.randrange(MOST_DAYS) * A_DAY)
            self.portal.bearer = await self.portal.token()
            self.days.append(self.today())
            await self.issue_statement()
        return await super().enter(maker, wanted)

    async def issue_statement(self) -> None:
        """Issue a statement for one of the last three whole months."""
        last = self.today().replace(day=1) - A_DAY
        for _ in range(self.chance.randrange(3)):
            last = last.replace(day=1) - A_DAY
        await super().enter(issue_statement, StatementPeriod(last.replace(day=1), last))

    def books_are_in_order(self) -> None:
        """Check nothing after each step: the state machine of the books does."""

    async def ended(self) -> None:
        await super().ended()
        await self.pass_time(31 * A_DAY)
        await self.issue_statement()

    async def judge(self) -> None:
        """Compare each statement, and the reports as of each statement's last day."""
        await super().judge()
        portal = self.portal
        token = await portal.token(Subject(portal.practice_id), scopes=READ_SCOPES)
        books = Books(portal.http, portal.engine, portal.practice_id, token, self.today())
        self.told["statements"] += await books.check_statements(portal.client_id)
        last_days = {one.period_end for one in await portal.all(Statement)}
        await books.check_reports({*last_days, *self.days[-3:]})
        self.told["histories"] += 1


def made(new: NewDatabase) -> type[Statements]:
    """Return the machine over databases made by `new`, with counters of its own."""
    own = {"new_database": staticmethod(new), "told": Counter()}
    return type("StatementsOf", (Statements,), own)
