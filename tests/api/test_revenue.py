"""Reports of a practice: amounts by period and amounts due by age add up for each grouping."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.ledger.periods import Period
from execution.pipeline import Request
from models import Allocation, Clinician, EntryKind, Invoice, LedgerEntry
from tests.support.comparison import Case, Comparison
from tests.support.example_operations import AGES, PERIOD, REPORTS
from tests.support.operations.pools import EDGES
from tests.support.practices.random_values import NOW, TODAY

DASHBOARDS = ("USD dashboard", "JPY dashboard of sums", "KWD dashboard without phi")
FLOWS = ("invoiced", "collected", "refunded", "chargedBack", "writtenOff")
MINOR = " ".join(f"{flow} {{ minorUnits }}" for flow in (*FLOWS, "outstandingAtEnd"))
EVERY_PERIOD = " ".join(
    f"{period}: revenue(dateRange: $days, groupBy: {period}) {{ start end {MINOR} }}"
    for period in Period
)
# A range with all entries in it.
ALWAYS = {"gte": "2024-12-01", "lte": "2026-03-20"}


@pytest.mark.parametrize("who", DASHBOARDS)
@pytest.mark.parametrize("sentence", REPORTS)
async def test_report_is_one_statement_with_the_oracles_answer(
    comparison: Comparison, sentence: str, who: str
) -> None:
    answered, planned = await comparison.check(Case(who, *REPORTS[sentence]))
    assert planned
    assert not answered.errors


@pytest.mark.parametrize("who", DASHBOARDS)
async def test_report_of_each_clinician_of_any_practice(comparison: Comparison, who: str) -> None:
    query = (
        "query ($of: ID, $days: DateRange!) { practice { aging(clinicianId: $of)"
        f" {{ {AGES} }} revenue(dateRange: $days, clinicianId: $of) {{ {PERIOD} }} }} }}"
    )
    for therapist in (row["id"] for row in comparison.practices.rows[Clinician]):
        variables = {"of": f"cln_{therapist}", "days": ALWAYS}
        answered, planned = await comparison.check(Case(who, query, variables))
        assert planned
        assert not answered.errors


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    who=st.sampled_from(DASHBOARDS),
    last=st.sampled_from(EDGES) | st.dates(dt.date(2025, 11, 1), dt.date(2026, 4, 2)),
    length=st.integers(0, 399),
)
async def test_sums_are_equal_for_each_period(
    comparison: Comparison, who: str, last: dt.date, length: int
) -> None:
    days = {"gte": str(last - dt.timedelta(length)), "lte": str(last)}
    query = f"query ($days: DateRange!) {{ practice {{ {EVERY_PERIOD} }} }}"
    answered, planned = await comparison.check(Case(who, query, {"days": days}), fallback=False)
    assert planned
    reports = answered.data["practice"]
    sums = {period: summed(reports[period]) for period in Period}
    assert all(found == sums[Period.YEAR] for found in sums.values())
    ends = {reports[period][-1]["outstandingAtEnd"]["minorUnits"] for period in Period}
    assert len(ends) == 1
    if last <= TODAY:
        assert ends == {await total_due(comparison, who, last)}


def summed(report: list[Any]) -> Mapping[str, int]:
    return {flow: sum(period[flow]["minorUnits"] for period in report) for flow in FLOWS}


async def total_due(comparison: Comparison, who: str, day: dt.date) -> int:
    query = "query ($day: Date) { practice { aging(asOf: $day) { total { minorUnits } } } }"
    answered, _ = await comparison.answer(Case(who, query, {"day": str(day)}))
    found: int = answered.data["practice"]["aging"]["total"]["minorUnits"]
    return found


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
async def test_aging_today_is_the_amount_due_of_the_invoices(
    comparison: Comparison, currency: str
) -> None:
    """Asked some days later, so that no entry is of a future day."""
    amounts = AGES.replace("{ amount minorUnits currency }", "{ minorUnits }")
    query = (
        f"{{ practice {{ aging {{ {amounts} }} invoices(first: 500)"
        " { nodes { amountDue { minorUnits } } } } }"
    )
    viewer = comparison.viewers[f"{currency} dashboard"]
    later = NOW + dt.timedelta(days=3)
    answer = await comparison.graph.answer(Request(query, None, {}), viewer, later)
    practice = json.loads(answer.body)["data"]["practice"]
    aging = {age: of["minorUnits"] for age, of in practice["aging"].items() if age != "asOf"}
    dues = [one["amountDue"]["minorUnits"] for one in practice["invoices"]["nodes"]]
    assert aging.pop("total") == sum(dues) == sum(aging.values())
    assert len([due for due in aging.values() if due]) > 1


# -- clinicians ------------------------------------------------------------------------------------


@pytest.mark.parametrize("currency", ["USD", "JPY"])
async def test_clinicians_and_unassigned_invoices_add_up_to_the_practice(
    comparison: Comparison, currency: str
) -> None:
    books = Books(comparison, currency)
    whole, *of_therapists = [await books.report(of) for of in (None, *books.therapists)]
    together = {name: sum(one[name] for one in of_therapists) for name in whole}
    charges = books.entered(LedgerEntry, EntryKind.SESSION, EntryKind.CHARGE)
    given_up = books.entered(LedgerEntry, EntryKind.WRITE_OFF)
    put = books.entered(Allocation)
    assert whole["invoiced"] - together["invoiced"] == charges
    assert whole["writtenOff"] - together["writtenOff"] == -given_up
    due = whole["outstandingAtEnd"] - together["outstandingAtEnd"]
    assert due == books.entered(LedgerEntry) - put
    # Credit counts as collected where it is allocated; the rest is unused credit.
    kept = received(whole) + books.credits - books.unused
    assert received(together) + put == kept
    assert all(together[name] for name in ("invoiced", "collected", "refunded"))


def received(report: Mapping[str, int]) -> int:
    """Return the money collected, less the money given back and taken back."""
    return report["collected"] - report["refunded"] - report["chargedBack"]


class Books:
    """The rows of one practice, and a dashboard's reports on them."""

    def __init__(self, comparison: Comparison, currency: str) -> None:
        self.comparison, self.who = comparison, f"{currency} dashboard of sums"
        self.practice_id = comparison.viewers[self.who].practice_id
        self.therapists = [row["id"] for row in self.rows(Clinician)]
        invoices = self.rows(Invoice)
        self.nobodys = {row["id"] for row in invoices if row["clinician_id"] is None}

    def rows(self, model: Any) -> list[Any]:
        return self.comparison.found(model, practice_id=self.practice_id)

    async def report(self, therapist: str | None) -> Mapping[str, int]:
        query = (
            "query ($of: ID, $days: DateRange!) { practice {"
            f" revenue(dateRange: $days, groupBy: MONTH, clinicianId: $of) {{ {MINOR} }} }} }}"
        )
        variables = {"of": therapist and f"cln_{therapist}", "days": ALWAYS}
        answered, _ = await self.comparison.answer(Case(self.who, query, variables))
        report = answered.data["practice"]["revenue"]
        return {**summed(report), "outstandingAtEnd": report[-1]["outstandingAtEnd"]["minorUnits"]}

    def entered(self, model: Any, *kinds: EntryKind) -> int:
        """Sum up the rows of invoices without a clinician."""
        rows = [row for row in self.rows(model) if row["invoice_id"] in self.nobodys]
        return total(row for row in rows if not kinds or row["kind"] in kinds)

    @property
    def credits(self) -> int:
        """Sum up the credits that the practice granted."""
        return -total(row for row in self.rows(LedgerEntry) if row["kind"] is EntryKind.CREDIT)

    @property
    def unused(self) -> int:
        pool = [row for row in self.rows(LedgerEntry) if row["invoice_id"] is None]
        return -total(pool) - total(self.rows(Allocation))


def total(rows: Any) -> int:
    return sum(row["amount_minor"] for row in rows)
