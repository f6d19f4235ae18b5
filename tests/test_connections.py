"""Connections for planned reads."""

from collections.abc import AsyncIterator

import pytest

from models import connections
from models.connections import PostgresReads
from tests import postgres

PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE statement = $1"


@pytest.fixture
async def reads(postgres_url: str) -> AsyncIterator[PostgresReads]:
    async with postgres.database(postgres_url) as url:
        opened = connections.reads(url, size=1)
        assert isinstance(opened, PostgresReads)
        yield opened
        await opened.close()


async def test_a_statement_stays_prepared_after_others_were_run(reads: PostgresReads) -> None:
    statement = "SELECT 1 + 1"
    for _ in range(2):
        assert await reads.value(statement, []) == 2
        assert await reads.value(PREPARED, [statement]) == 1


async def test_no_more_than_a_hundred_stay_prepared(reads: PostgresReads) -> None:
    for number in range(connections.PREPARED_A_CONNECTION + 20):
        assert await reads.value(f"SELECT {number}", []) == number
    kept = await reads.value("SELECT count(*) FROM pg_prepared_statements", [])
    assert kept <= connections.PREPARED_A_CONNECTION + 1
