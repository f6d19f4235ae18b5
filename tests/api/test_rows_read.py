"""Lookups and pages read few more rows than they return, by PostgreSQL's own counts."""

import datetime as dt

import pytest

from bench import rows_read
from demo import filling, many
from models import database
from tests.support import postgres
from tests.support.empty_databases import prepare

pytestmark = pytest.mark.rest

TODAY = dt.date(2026, 3, 18)
# A practice whose rows are all read by any full scan, and another one.
PLANS = (many.PracticePlan(TODAY, 1, 0, 600), many.PracticePlan(TODAY, 1, 1, 20))

# Most rows belong to one small practice, so its invoices are read once and joined to a client's
# history. A plan kept for any status goes through payments of all statuses.
KNOWN = (
    "accountHistory",
    "payments(status: [FAILED])",
    "payments(status: [PROCESSING])",
    # Some plans that are kept for any values read a table of a few pages whole.
    "clients(search",
    # The same for any version: without changes, all documents are read in the order of their days.
    "practice.statements(changedSince",
    "practice.superbills(changedSince",
)


@pytest.fixture(scope="module")
async def measured(postgres_url: str) -> list[rows_read.Measured]:
    async with postgres.database(postgres_url) as url:
        await prepare(url)
        engine = database.engine(postgres.as_owner(url))
        for plan in PLANS:
            await filling.fill_practice(engine, plan, lambda clients: None)
        await filling.update_statistics(engine)
        await engine.dispose()
        return await rows_read.measured(url)


async def test_reads_take_at_most_20_rows_per_result_and_200(
    measured: list[rows_read.Measured],
) -> None:
    assert len(measured) > 150
    over = [one for one in measured if one.verdict == "TOO MANY"]
    assert not [one for one in over if not any(known in one.name for known in KNOWN)]


async def test_full_scan_of_a_practice_would_exceed_the_limit(
    measured: list[rows_read.Measured],
) -> None:
    assert any(one.verdict == "over, by sums" and one.read > 2 * one.limit for one in measured)
