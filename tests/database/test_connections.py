"""Connections of transactions, and of planned reads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import text

from models import database
from models.database import DatabaseUnavailable, PostgresReads, UnfitDatabase, Waits
from models.database.connector import PostgresConnector
from models.database.prepared import Signed
from models.database.session import SessionSettings
from tests.support import postgres

LONG = text(
    "WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1000000)"
    " SELECT count(*) FROM counted"
)
PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE name = $1"


@pytest.fixture
async def reads(postgres_url: str) -> AsyncIterator[PostgresReads]:
    async with postgres.database(postgres_url) as url:
        opened = database.reads(url, size=1)
        assert isinstance(opened, PostgresReads)
        yield opened
        await opened.close()


async def test_statement_stays_prepared_after_others_were_run(reads: PostgresReads) -> None:
    statement = "SELECT 1 + 1"
    for _ in range(2):
        assert await reads.value(statement, []) == 2
        assert await reads.value(PREPARED, [Signed.of(statement, 0).name]) == 1


async def test_at_most_a_hundred_statements_stay_prepared(reads: PostgresReads) -> None:
    for number in range(database.PREPARED_A_CONNECTION + 20):
        assert await reads.value(f"SELECT {number}", []) == number
    kept = await reads.value("SELECT count(*) FROM pg_prepared_statements", [])
    assert kept <= database.PREPARED_A_CONNECTION + 1


async def test_canceled_transaction_releases_the_database(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> None:
    async with new_database() as url:
        engine, reading = database.engine(url), asyncio.Event()
        async with engine.begin() as conn:
            await conn.execute(text("CREATE TABLE note (words TEXT UNIQUE)"))

        async def write() -> None:
            async with engine.begin() as conn:
                await conn.execute(text("INSERT INTO note VALUES ('lost')"))
                reading.set()
                await conn.execute(LONG)

        writing = asyncio.create_task(write())
        await reading.wait()
        await asyncio.sleep(0.05)  # Until the database executes the statement.
        writing.cancel()
        # The exception keeps the frames alive, and with them the cursor.
        with pytest.raises(asyncio.CancelledError) as raised:
            await writing
        assert raised.tb is not None
        async with engine.begin() as conn:
            await conn.execute(text("INSERT INTO note VALUES ('lost')"))
        await engine.dispose()


SETTINGS = (
    "SELECT array_to_string(array_agg(setting ORDER BY name), ' ') FROM pg_settings WHERE name IN"
    " ('statement_timeout', 'lock_timeout', 'default_transaction_read_only', 'jit')"
)


async def test_session_settings_hold_for_reads_and_transactions(postgres_url: str) -> None:
    async with postgres.database(postgres_url) as url:
        reads = database.reads(url, timeout_s=9)
        assert await reads.value(SETTINGS, []) == "on off 1000 9000"
        await reads.close()
        waits = Waits(lock_s=3, statement_s=7, idle_s=15)
        async with database.open_engine(url, waits) as engine, engine.connect() as conn:
            found = await conn.scalar(text(SETTINGS))
            assert found.split()[::2] == ["off", "3000"]
            assert found.split()[3] == "7000"


async def test_settings_that_do_not_hold_are_refused(postgres_url: str) -> None:
    """The server reads this setting back in another unit, as if something had changed it."""
    connector = database.connector_of(postgres_url)
    assert isinstance(connector, PostgresConnector)
    with pytest.raises(UnfitDatabase, match="do not keep these settings: work_mem"):
        await connector.connect(session=SessionSettings({"work_mem": "1MB"}, read_only=False))
    assert all(conn.is_closed() for conn in connector.connections)


async def test_connections_closed_at_once_mean_an_unavailable_database(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while a server shuts down: each connection is closed before its first use."""
    monkeypatch.setattr(PostgresConnector, "is_usable", lambda *_: False)
    async with postgres.database(postgres_url) as url, database.open_engine(url) as engine:
        with pytest.raises(DatabaseUnavailable):
            async with engine.connect():
                pass


async def test_connection_lost_during_a_repeat_is_an_unavailable_database(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's error of a closed connection is not wrapped by SQLAlchemy there."""
    monkeypatch.setattr("models.database.transactions.is_stale", lambda _: True)
    async with postgres.database(postgres_url) as url, database.open_engine(url) as engine:
        with pytest.raises(DatabaseUnavailable):
            async with engine.begin() as conn:
                (await conn.get_raw_connection()).driver_connection.terminate()  # type: ignore[union-attr]
                await conn.execute(text("SELECT 1"))


async def test_a_read_whose_session_is_ended_is_run_once_more(postgres_url: str) -> None:
    """As by a server that shuts down amid it, and is back at once."""
    ending = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%slow%'"
    )
    async with postgres.database(postgres_url) as url, database.open_engine(url) as engine:
        reads = database.reads(url, size=1)
        reading = asyncio.create_task(reads.value("SELECT pg_sleep(2)::text || 'slow'", []))
        async with asyncio.timeout(60), engine.connect() as conn:
            while not await conn.scalar(ending):
                # Within a transaction the list of sessions stays as it was read first.
                await conn.rollback()
                await asyncio.sleep(0.02)
        assert await reading == "slow"
        await reads.close()
