"""No look-up and no page reads much more than it gives, by what PostgreSQL itself counts."""

import datetime as dt

import pytest

from bench import rows_read
from billing.demo import filling, many
from models import database
from tests import postgres
from tests.schema import prepare

TODAY = dt.date(2026, 3, 18)
# A practice of which all that is there is read at once, if anything is, and another beside it.
PLANS = (many.Plan(TODAY, 1, 0, 600), many.Plan(TODAY, 1, 1, 20))

# Where nearly all rows are one small practice's, its invoices are read once and joined to a
# client's history; and a plan kept for any statuses goes through payments of all of them.
KNOWN = (
    "accountHistory",
    "payments(status: [FAILED])",
    "payments(status: [PROCESSING])",
    # A table of a few pages is read whole by some plans that are kept for any values.
    "clients(search",
)


@pytest.fixture(scope="module")
async def measured(postgres_url: str) -> list[rows_read.Measured]:
    async with postgres.database(postgres_url) as url:
        await prepare(url)
        engine = database.engine(postgres.as_owner(url))
        for plan in PLANS:
            await filling.fill(engine, plan, lambda clients: None)
        await filling.finish(engine)
        await engine.dispose()
        return await rows_read.measured(url)


async def test_20_rows_are_read_for_each_given_and_200_more(
    measured: list[rows_read.Measured],
) -> None:
    assert len(measured) > 150
    over = [one for one in measured if one.verdict == "TOO MANY"]
    assert not [one for one in over if not any(known in one.name for known in KNOWN)]


async def test_all_of_a_practice_would_be_too_many(measured: list[rows_read.Measured]) -> None:
    assert any(one.verdict == "over, by sums" and one.read > 2 * one.limit for one in measured)
