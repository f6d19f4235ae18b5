"""Prepared statements that another program changed, dropped or replaced while the server runs."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from models import database
from models.database import DatabaseBusy, PostgresReads, prepared
from models.database.prepared import Signed
from tests.support import postgres
from tests.support.payments import PAY, Paying, paying

VIEWER = "{ viewer { kind } }"
BALANCE = "{ client { name balance { payable { amount } } invoices { nodes { number } } } }"


@pytest.fixture
async def reads(postgres_url: str) -> AsyncIterator[PostgresReads]:
    async with postgres.database(postgres_url) as url:
        opened = database.reads(url, size=1)
        assert isinstance(opened, PostgresReads)
        yield opened
        await opened.close()


# -- results of another statement ------------------------------------------------------------------

ASKED = "SELECT 1 + CAST($1 AS INTEGER), 'right'"
# As a statement that another practice asks.
NAMED = "WHERE CAST($2 AS TEXT) IS NOT NULL"
FOREIGN = {
    "of the same shape": f"SELECT 'another', TRUE, CAST($1 AS INTEGER), 'wrong' {NAMED}",
    "with other columns": f"SELECT 'another', TRUE, CAST($1 AS INTEGER) {NAMED}",
    "of other types": "SELECT CAST($1 AS INTEGER), CAST(7 AS BIGINT), 0.5, CAST(1 AS SMALLINT)"
    f" {NAMED}",
    "without a row": f"SELECT 'another', TRUE, CAST($1 AS INTEGER), 'wrong' {NAMED} AND FALSE",
    "with other parameters": "SELECT 'another', TRUE, 52500, 'wrong'",
}


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_result_of_another_statement_is_never_returned(
    reads: PostgresReads, foreign: str
) -> None:
    """Another statement is prepared under the name, as by a pooler that mixes sessions up."""
    assert await reads.row(ASKED, [1]) == (2, "right")
    (connection,) = reads.idle
    name = Signed.of(ASKED, 1).name
    await connection.connection.execute(
        f'DEALLOCATE "{name}"; PREPARE "{name}" AS {FOREIGN[foreign]}'
    )
    assert await reads.row(ASKED, [1]) == (2, "right")
    assert connection.connection.is_closed()
    assert len(reads.idle) == 1


async def test_row_of_another_statement_is_not_taken_for_an_empty_result(
    reads: PostgresReads,
) -> None:
    asked = "SELECT 1 WHERE FALSE"
    assert await reads.row(asked, []) is None
    name = Signed.of(asked, 0).name
    await reads.idle[0].connection.execute(
        f'DEALLOCATE "{name}"; PREPARE "{name}" AS SELECT \'another\', TRUE, 52500'
    )
    assert await reads.row(asked, []) is None


async def test_each_name_belongs_to_one_text(reads: PostgresReads) -> None:
    texts = [f"SELECT {number}" for number in range(20)]
    for sql in texts:
        await reads.row(sql, [])
    rows = await reads.idle[0].connection.fetch(
        "SELECT name, statement FROM pg_prepared_statements"
    )
    assert {(row["name"], row["statement"]) for row in rows} == {
        (Signed.of(sql, 0).name, Signed.of(sql, 0).sql) for sql in texts
    }
    assert len({Signed.of(sql, 0).name for sql in texts}) == len(texts)


ALONE = "WHERE CAST($1 AS TEXT) IS NOT NULL"


class Swapped(Signed):
    """A statement whose name always belongs to another one."""

    @classmethod
    def of(cls, sql: str, parameters: int) -> Signed:
        return cls(Signed.of(sql, parameters).hash, f"SELECT 'another', TRUE, 'wrong' {ALONE}")


async def test_statement_that_stays_replaced_is_refused(
    reads: PostgresReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "Signed", Swapped)
    with pytest.raises(DatabaseBusy):
        await reads.row("SELECT 'right'", [])
    assert not reads.idle


# -- stale statements ------------------------------------------------------------------------------


@pytest.fixture
async def portal(postgres_url: str) -> AsyncIterator[Paying]:
    async with postgres.database(postgres_url) as url, paying(url) as portal:
        yield portal


def everywhere(statement: str) -> Callable[[Paying], Awaitable[None]]:
    """Return a change that another program makes to the tables."""

    async def change(portal: Paying) -> None:
        await postgres.execute(portal.url, statement)

    return change


def in_each_session(statement: str) -> Callable[[Paying], Awaitable[None]]:
    """Return a change inside the server's own sessions."""

    async def change(portal: Paying) -> None:
        for connection in portal.reads.people.idle:
            await connection.connection.execute(statement)
        async with portal.served_context.engine.connect() as conn:
            driver: Any = (await conn.get_raw_connection()).driver_connection
            await driver.execute(statement)

    return change


CHANGES = {
    "a column is widened": everywhere("ALTER TABLE token ALTER COLUMN kind TYPE varchar(40)"),
    "columns of payments are widened": everywhere(
        "ALTER TABLE payment ALTER COLUMN state TYPE varchar(50);"
        " ALTER TABLE client ALTER COLUMN name TYPE varchar(300);"
        " ALTER TABLE practice ALTER COLUMN currency TYPE varchar(9)"
    ),
    "a state has another type": everywhere("ALTER TABLE payment ALTER COLUMN state TYPE text"),
    "columns come": everywhere(
        "ALTER TABLE payment ADD COLUMN note text; ALTER TABLE token ADD COLUMN note text;"
        " ALTER TABLE client ADD COLUMN note text"
    ),
    "a table is made anew": everywhere(
        "CREATE TABLE token_copy (LIKE token INCLUDING ALL);"
        " INSERT INTO token_copy SELECT * FROM token;"
        " GRANT ALL ON token_copy TO PUBLIC;"
        " ALTER TABLE token RENAME TO token_old; ALTER TABLE token_copy RENAME TO token"
    ),
    "an index goes": everywhere("DROP INDEX ix_invoice_due"),
    "statements are deallocated": in_each_session("DEALLOCATE ALL"),
    "sessions are reset": in_each_session("DISCARD ALL"),
}


@pytest.mark.share(3)
@pytest.mark.parametrize("change", CHANGES)
async def test_responses_are_the_same_after(portal: Paying, change: str) -> None:
    await judge_change(portal, lambda: CHANGES[change](portal))


# SQLite compares the schema at each statement, and prepares the statement again.
REBUILT = """
    PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON; BEGIN;
    CREATE TABLE copy AS SELECT * FROM token; ALTER TABLE token RENAME TO old;
    ALTER TABLE copy RENAME TO token; DROP TABLE old; COMMIT
"""
CHANGES_OF_FILE = {
    "columns come": "ALTER TABLE payment ADD COLUMN note; ALTER TABLE token ADD COLUMN note;"
    " ALTER TABLE client ADD COLUMN note",
    "a table is made anew": REBUILT,
    "an index goes": "DROP INDEX ix_invoice_due",
    "the file is written anew": "VACUUM",
}


@pytest.mark.parametrize("change", CHANGES_OF_FILE)
async def test_responses_are_the_same_after_a_change_of_the_file(
    tmp_path: Path, change: str
) -> None:
    def by_another_process() -> None:
        with closing(sqlite3.connect(path, timeout=60)) as conn:
            conn.executescript(CHANGES_OF_FILE[change])

    path = tmp_path / "portal.sqlite"
    async with paying(f"sqlite:///{path}") as portal:
        # In a thread, since a transaction of this loop may have to end first.
        await judge_change(portal, lambda: asyncio.to_thread(by_another_process))


async def judge_change(portal: Paying, change: Callable[[], Awaitable[None]]) -> None:
    """Send repeated reads, new reads, and then a payment.

    The payment may get UNAVAILABLE once. When it is sent again it is made, and made once.
    """

    async def answers() -> list[Any]:
        queries = [VIEWER, BALANCE, f"{BALANCE} # {time.perf_counter_ns()}"]
        sent = [await portal.ask(query, portal.bearer) for query in queries]
        assert [answer.status_code for answer in sent] == [200, 200, 200]
        return [answer.json() for answer in sent]

    await portal.invoice(9_000)
    assert (await portal.pay(9_000, portal.card()))["__typename"] == "PaySucceeded"
    await portal.invoice(5_000)
    before = [await answers() for _ in range(2)]
    assert not any("errors" in answer for answer in before[0])

    await change()
    assert [await answers() for _ in range(2)] == before
    input = portal.input(5_000, portal.card())
    paid = (await portal.ask(PAY, portal.bearer, input=input)).json()
    if paid.get("errors"):
        assert [error["extensions"]["code"] for error in paid["errors"]] == ["UNAVAILABLE"]
        paid = (await portal.ask(PAY, portal.bearer, input=input)).json()
    assert paid["data"]["pay"]["__typename"] == "PaySucceeded", paid
    assert [charge["amount"] for charge in portal.charges()] == [9_000, 5_000]


async def test_first_statement_of_a_transaction_is_repeated(postgres_url: str) -> None:
    async with postgres.database(postgres_url) as url, database.open_engine(url) as engine:
        read = text("SELECT words FROM note")
        async with engine.begin() as conn:
            await conn.execute(text("CREATE TABLE note (words varchar(20))"))
            await conn.execute(text("INSERT INTO note VALUES ('kept')"))
            await conn.execute(read)
        for statement in ("ALTER TABLE note ALTER COLUMN words TYPE varchar(40)", "DEALLOCATE ALL"):
            async with engine.connect() as conn:
                driver: Any = (await conn.get_raw_connection()).driver_connection
                await driver.execute(statement)
            async with engine.begin() as conn:
                assert await conn.scalar(read) == "kept"


async def test_later_statement_of_a_transaction_is_not_repeated(postgres_url: str) -> None:
    """Repeating it in a new transaction would silently lose the earlier statements."""
    async with postgres.database(postgres_url) as url, database.open_engine(url) as engine:
        read, write = text("SELECT words FROM note"), text("INSERT INTO note VALUES ('kept')")
        async with engine.begin() as conn:
            await conn.execute(text("CREATE TABLE note (words varchar(20))"))
            await conn.execute(write)
            await conn.execute(read)
        async with engine.connect() as conn:
            driver: Any = (await conn.get_raw_connection()).driver_connection
            await driver.execute("ALTER TABLE note ALTER COLUMN words TYPE varchar(40)")
        with pytest.raises(DatabaseBusy):
            async with engine.begin() as conn:
                await conn.execute(write)
                await conn.execute(read)
        async with engine.begin() as conn:
            await conn.execute(write)
            assert (await conn.execute(read)).all() == [("kept",)] * 2


async def test_connections_prepare_under_different_names(postgres_url: str) -> None:
    """If a pooler mixes sessions up, a name is unknown and not another statement's."""
    async with postgres.database(postgres_url) as url, database.open_engine(url) as engine:
        names: list[str] = []
        async with engine.connect() as first, engine.connect() as second:
            for conn in (first, second):
                await conn.execute(text("SELECT 1"))
                await conn.execute(text("SELECT 2"))
                names += await conn.scalars(text("SELECT name FROM pg_prepared_statements"))
    assert len(names) >= 4
    assert len(set(names)) == len(names)
