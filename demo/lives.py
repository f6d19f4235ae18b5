"""A client's two years: the usual sessions, invoices, payments and documents.

A life is a plan of actions, each some days ago at some hour. `stories` adds the unusual ones.
"""

import datetime as dt
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from billing.entry.statements import StatementPeriod, is_worth_a_statement, issue_statement
from billing.entry.superbills import SuperbillRequest, issue_superbill, sessions_of
from demo.client_books import ClientBooks
from demo.entries import Entered
from demo.office import months, next_month
from models import PaymentMethodKind

TWO_YEARS = 728
# All actions end before seven in the evening: hours before the day ends, in any time zone.
MORNING, AFTERNOON, CLOSING = (7, 0), (17, 10), (18, 0)
PAYING, LATE, LAST = (18, 20), (18, 35), (18, 50)
SUPERBILLS_ON = 20
Period = tuple[dt.date, dt.date]


@dataclass(frozen=True)
class Insurance:
    """Details for the insurer, in addition to the sessions."""

    diagnoses: Mapping[str, str | None]
    # Two digits: 11 the office, 10 the client's home by video, 02 elsewhere by video.
    place_of_service: str = "11"

    @property
    def modifiers(self) -> Sequence[str]:
        return ("95",) if self.place_of_service in ("02", "10") else ()


@dataclass(frozen=True)
class Habit:
    """The habits of a client. Days are counted back from today."""

    service: str = "90837"
    every: int = 7
    began: int = TWO_YEARS
    last: int = 2
    hour: int = 10
    fee_minor: int | None = None
    invoiced_every: int = 28
    last_invoiced: int = 10
    due_in: int = 14
    pays_with: PaymentMethodKind = PaymentMethodKind.CARD
    pays_after: int = 3
    insurance: Insurance | None = None
    away: frozenset[int] = frozenset()
    gets_statements: bool = True

    def sessions(self) -> list[int]:
        """Return the days of sessions, the first session first."""
        days = range(self.last, self.began + 1, self.every)
        return [day for day in reversed(days) if day not in self.away]

    def invoices(self) -> list[int]:
        return list(reversed(range(self.last_invoiced, self.began, self.invoiced_every)))


class Life:
    """A client's books and the planned actions."""

    def __init__(self, books: ClientBooks, habit: Habit, therapist: str) -> None:
        self.books, self.habit, self.therapist = books, habit, therapist
        self.office = books.office
        # The offset keeps clients from acting in the same second.
        self.slack = dt.timedelta(seconds=books.chance.random.randrange(600))
        self.plan: list[tuple[dt.datetime, Callable[[], object]]] = []
        self.issued: dict[int, str] = {}

    def on(self, days_ago: int, time: tuple[int, int], deed: Callable[[], object]) -> None:
        self.plan.append((self.office.moment(days_ago, *time) + self.slack, deed))

    def entries(self) -> Iterator[Entered]:
        """Yield the rows of all actions. Each is only run once the rows before it are consumed."""
        yield from self.books.take_entered()
        for moment, deed in sorted(self.plan, key=lambda planned: planned[0]):
            self.books.at = max(moment, self.books.at)
            deed()
            yield from self.books.take_entered()

    # -- usual actions -----------------------------------------------------------------------------

    def attend(self) -> None:
        """Plan all sessions of the habit; the first one is an intake."""
        for nth, day in enumerate(self.habit.sessions()):
            code = self.habit.service if nth else "90791"
            service = self.office.services[code]
            if nth and self.habit.fee_minor is not None:
                service = replace(service, fee_minor=self.habit.fee_minor)
            time = (self.habit.hour, 0)
            starts_at = self.office.moment(day, *time)
            self.on(day, time, partial(self.books.attend, service, starts_at))

    def invoice(self, *, but: Container[int] = ()) -> None:
        for day in self.habit.invoices():
            if day not in but:
                self.issue(day)

    def issue(self, day: int, **facts: Any) -> None:
        """Plan an invoice of all items that have none yet. Stories find it by its day."""
        books = self.books

        def deed() -> None:
            lines, books.unbilled = books.unbilled, []
            if lines:
                self.issued[day] = books.issue(lines, self.habit.due_in, **facts)

        self.on(day, CLOSING, deed)

    def about(
        self, invoice: int, day: int, time: tuple[int, int], deed: Callable[[str], object]
    ) -> None:
        """Plan an action about the invoice of another day, if one was issued then."""
        self.on(day, time, lambda: invoice in self.issued and deed(self.issued[invoice]))

    def pay(self, *, but: Container[int] = ()) -> None:
        """Plan to pay each invoice some days after its issue, except those of some days."""
        for day in self.habit.invoices():
            if day not in but and day > self.habit.pays_after:
                self.settle(day, day - self.habit.pays_after)

    def settle(
        self,
        invoice: int,
        day: int,
        method: PaymentMethodKind | None = None,
        amount: int | None = None,
    ) -> None:
        """Plan to pay the invoice of another day, or a part of it."""
        how = method or self.habit.pays_with

        def deed(invoice_id: str) -> None:
            if self.books.due(invoice_id):
                self.books.pay(how, invoice_id, amount)

        self.about(invoice, day, PAYING, deed)

    def document(self, *, unshared: int = 0, incomplete: int = 0) -> None:
        """Plan a statement for each month that has ended, and a superbill some weeks later.

        `unshared` is the number of latest statements that the practice does not share yet.
        `incomplete` selects a superbill without a diagnosis, counted from the end (1 is the last).
        """
        today = self.office.today
        first = today - dt.timedelta(self.habit.began)
        periods = list(months(first, today - dt.timedelta(1)))
        for nth, period in enumerate(periods if self.habit.gets_statements else ()):
            is_shared = nth < len(periods) - unshared
            deed = partial(self.issue_statement, period, is_shared)
            self.on((today - next_month(period[0])).days, MORNING, deed)
        if self.habit.insurance is not None:
            self.claim(periods, self.habit.insurance, incomplete)

    def claim(self, periods: list[Period], insurance: Insurance, incomplete: int) -> None:
        asked = {period: next_month(period[0]).replace(day=SUPERBILLS_ON) for period in periods}
        days = {period: (self.office.today - day).days for period, day in asked.items()}
        made = [period for period in periods if days[period] > 0]
        for left, period in zip(range(len(made), 0, -1), made, strict=True):
            told = replace(insurance, diagnoses={}) if left == incomplete else insurance
            self.on(days[period], MORNING, partial(self.issue_superbill, period, told))

    def issue_statement(self, period: Period, is_shared: bool) -> None:
        """Issue a statement, unless nothing happened and nothing is owed."""
        if is_worth_a_statement(self.books.ledger, *period):
            self.books.enter(issue_statement, StatementPeriod(*period, is_shared))

    def issue_superbill(self, period: Period, told: Insurance) -> None:
        """Issue a superbill, unless the period has no session."""
        if sessions_of(self.books.ledger, *period):
            request = SuperbillRequest(
                *period, self.therapist, told.diagnoses, told.place_of_service, told.modifiers
            )
            self.books.enter(issue_superbill, request)
