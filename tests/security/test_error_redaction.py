"""Errors of the database: the values that they quote appear in no log, response or terminal."""

import asyncio
import datetime as dt
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import pytest
from sqlalchemy import Row, insert, text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from models import Client, StripeEvent, database
from models.bulk_insert import copy
from models.database import open_engine
from models.ids import new_id
from models.leases import Excluded, Lease, Queue
from models.row import written
from server.cli import main as cli
from tests.support import postgres
from tests.support.empty_databases import prepare
from tests.support.portal import KEY, served
from tests.support.sign_in import REQUEST, signing_in

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
VALUE = "Zyxmarker"
NOON = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
TABLES = (
    "CREATE TABLE person (id integer PRIMARY KEY, name varchar(40) NOT NULL UNIQUE,"
    " age integer NOT NULL CONSTRAINT is_grown CHECK (age > 17))",
    "CREATE TABLE note (words varchar(40) REFERENCES person (name))",
    f"INSERT INTO person VALUES (1, '{VALUE}', 40)",  # noqa: S608
)
# Statements by the constraint that they violate; each error quotes the value or its row.
REFUSED = {
    "check": ("INSERT INTO person VALUES (2, :value, 3)", "is_grown"),
    "unique": ("INSERT INTO person VALUES (2, :value, 40)", "person"),
    "not null": ("INSERT INTO person (id, name) VALUES (2, :value)", "age"),
    "foreign key": ("INSERT INTO note VALUES (:value || 'x')", ""),
}
# Statements whose value the database cannot read as the type.
UNREADABLE = {
    "postgresql": [
        *(f"SELECT CAST(CAST(:value AS text) AS {name})" for name in ("integer", "date", "uuid")),
        *(f"SELECT CAST(CAST(:value AS text) AS {name})" for name in ("jsonb", "integer[]")),
        # Values that the driver refuses.
        *(f"SELECT CAST(:value AS {name})" for name in ("integer", "date", "uuid")),
        "SELECT set_config('TimeZone', :value, true)",
    ],
    "sqlite": [
        "SELECT json_extract('{}', :value)",
        f"SELECT CAST(x'{VALUE.encode().hex()}ff' AS text), :value",
    ],
}


@pytest.fixture
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, open_engine(url) as engine:
        async with engine.begin() as conn:
            for statement in TABLES:
                await conn.execute(text(statement))
        yield engine


@pytest.fixture
async def migrated(new_database: NewDatabase) -> AsyncIterator[str]:
    async with new_database() as url:
        await prepare(url)
        yield url


def led_to(error: BaseException) -> list[BaseException]:
    """Return an error with all of its causes."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += (one.__cause__, one.__context__, getattr(one, "orig", None))
    return found


def hides_value(error: BaseException) -> None:
    assert VALUE not in "".join(traceback.format_exception(error))
    for one in led_to(error):
        assert VALUE not in f"{one} {one!r} {vars(one).get('detail')} {vars(one).get('context')}"


@contextmanager
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Assert that an error is logged inside the context, without the value."""
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    yield
    assert "Traceback" in caplog.text
    assert VALUE not in caplog.text


@pytest.mark.parametrize("kind", REFUSED)
async def test_refused_row_is_not_quoted(engine: AsyncEngine, kind: str) -> None:
    statement, names = REFUSED[kind]
    with pytest.raises(DBAPIError) as refused:
        async with engine.begin() as conn:
            await conn.execute(text(statement), {"value": VALUE})
    hides_value(refused.value)
    # The name of the constraint is shown.
    assert names in str(refused.value)


async def test_unreadable_value_is_not_quoted(engine: AsyncEngine) -> None:
    for statement in UNREADABLE[engine.dialect.name]:
        with pytest.raises(DBAPIError) as refused:
            async with engine.begin() as conn:
                await conn.execute(text(statement), {"value": VALUE})
        hides_value(refused.value)


@pytest.mark.parametrize("values", [{"created_at": VALUE}, {"id": f"{VALUE}\ud800"}])
async def test_value_of_another_type_is_not_quoted(migrated: str, values: dict[str, Any]) -> None:
    row = {"practice_id": new_id(), "id": new_id(), "created_at": NOON, "name": "Ana"}
    async with open_engine(migrated) as engine:
        with pytest.raises((StatementError, ValueError, AttributeError)) as refused:
            async with engine.begin() as conn:
                await conn.execute(insert(Client), [row | values])
        hides_value(refused.value)


async def test_planned_read_quotes_no_value(migrated: str) -> None:
    connector = database.connector_of(migrated)
    reads = database.reads(migrated, connector=connector)
    statements = {
        "postgresql": ["SELECT CAST(CAST($1 AS text) AS integer)", "SELECT CAST($1 AS integer)"],
        "sqlite": [
            "SELECT json_extract('{}', ?)",
            f"SELECT CAST(x'{VALUE.encode().hex()}ff' AS text), ?",
        ],
    }
    try:
        for statement in statements[reads.dialect.name]:
            with pytest.raises(Exception, match=r"[a-z]") as refused:
                await reads.row(statement, [VALUE])
            hides_value(refused.value)
        with pytest.raises(Exception, match=r"[a-z]") as refused:
            await reads.row(
                "SELECT $1::text" if "postgres" in migrated else "SELECT ?", [f"{VALUE}\ud800"]
            )
        hides_value(refused.value)
    finally:
        await reads.close()
        await connector.close()


async def test_copied_row_is_not_quoted(migrated: str) -> None:
    columns = dict.fromkeys(written(Client))
    row = columns | {"practice_id": new_id(), "id": new_id(), "created_at": NOON}
    async with open_engine(postgres.as_owner(migrated)) as engine:
        with pytest.raises(Exception, match=r"client") as refused:
            async with engine.begin() as conn:
                await copy(conn, Client, [row | {"name": VALUE, "email": f"{VALUE} <a@b>, c@d"}])
        hides_value(refused.value)


# -- destinations of errors ------------------------------------------------------------------------


async def test_internal_error_shows_no_value(
    new_database: NewDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    async with new_database() as url, signing_in(url) as portal:
        await plant(url, "sign_in_request (email)")
        body = {"query": REQUEST, "variables": {"email": f"{VALUE}@example.com"}}
        assert (await portal.http.post("/graphql", json=body)).status_code == 200
        with logged(caplog):
            answer = await portal.http.post("/graphql", json=body)
            assert "INTERNAL" in answer.text
            assert VALUE not in answer.text


async def test_failed_background_work_shows_no_value(
    migrated: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue("event", StripeEvent, logging.getLogger("test"))
    event = {"id": "evt_1", "type": "test", "object_id": VALUE, "received_at": NOON}
    async with open_engine(migrated) as engine:
        async with engine.begin() as conn:
            await conn.execute(insert(StripeEvent).values(event))
        await plant(migrated, "stripe_event (object_id)")

        async def claim(but: Excluded) -> Lease | None:
            return await queue.claim(engine, but, order=[StripeEvent.id])

        async def work(_: Row[Any]) -> None:
            async with engine.begin() as conn:
                await conn.execute(insert(StripeEvent).values(event | {"id": "evt_2"}))

        with logged(caplog):
            await queue.run(engine, claim, work)


async def test_failed_command_shows_no_value(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_database() as url:
        async with served(url) as portal:
            await plant(url, "contact (name)")
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("TOKEN_KEY", KEY)
        link = ["contact", "link", f"cli_{portal.client_id}", "--name", VALUE, "--pay"]
        results = [
            await asyncio.to_thread(
                CliRunner().invoke, cli.app, [*link, "--email", email, "--relation", "GUARDIAN"]
            )
            for email in ("gail@example.com", "gus@example.com")
        ]
    assert results[0].exit_code == 0, results[0].output
    failure = results[1].exception
    assert isinstance(failure, DBAPIError)
    hides_value(failure)
    assert VALUE not in results[1].output


async def plant(url: str, columns: str) -> None:
    """Create a unique index, which the next row of the same values violates."""
    async with open_engine(postgres.as_owner(url)) as owner, owner.begin() as conn:
        await conn.execute(text(f"CREATE UNIQUE INDEX planted ON {columns}"))
