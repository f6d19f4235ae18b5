"""Each change of each table by plain SQL: no kept answer outlives it, and no missing trigger would
go unnoticed.
"""

import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.database import open_engine
from tests.answers.raw_writes import TABLES, RawWriter
from tests.answers.servers import OldAnswer, hits, judging
from tests.answers.sweeps import DELETE, EVENTS, INSERT, TRUNCATE, UPDATE, Sweep
from tests.answers.world import World, world

pytestmark = pytest.mark.campaign

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# The sums of PostgreSQL's trigger types, by their events.
BITS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}
# Changes after which no answer is wrong even without their trigger.
UNSEEN: dict[str, tuple[str, ...]] = {
    # Nobody has a token of a new practice, and only one without rows can be deleted.
    "practice": (INSERT, DELETE),
    # A row that no other row refers to is in no answer.
    "contact": (INSERT, DELETE),
    "letterhead": (INSERT, DELETE),
    # The versions of a contact's clients are found by the rights, and a contact without rights is
    # another viewer.
    "contact_right": (INSERT, DELETE, TRUNCATE),
    # A new token is in no answer of another one, and the answer to a deleted one is 401.
    "token": (INSERT, DELETE),
}


FOREIGN_KEYS = [key for table in TABLES.values() for key in table.foreign_key_constraints]


@pytest.fixture(scope="module")
async def filled(new_database: NewDatabase) -> AsyncIterator[World]:
    async with new_database() as url, world(url, 1, generated=1) as made:
        yield made


@asynccontextmanager
async def sweeping(made: World, name: str) -> AsyncIterator[Sweep]:
    async with judging(made.url, made.secrets) as judge, open_engine(made.owner_url) as engine:
        writer = RawWriter(engine, random.Random(name), judge.clock)
        yield Sweep(made, judge, writer, name)


@pytest.mark.share(24)
@pytest.mark.parametrize("name", TABLES)
async def test_no_kept_answer_outlives_a_change(filled: World, name: str) -> None:
    before = hits()
    async with sweeping(filled, name) as sweep:
        await sweep.run(*EVENTS)
    print(f"{name}: {sweep.made} changes, {sweep.told} of them shown by an answer")
    assert not sweep.made or hits() > before


# -- missing triggers ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trigger:
    """A trigger of the database's catalogue, and the statement that makes it again."""

    name: str
    table: str
    events: tuple[str, ...]
    sql: str


async def triggers_of(conn: AsyncConnection, table: str) -> list[Trigger]:
    """Return the triggers of a table that fire after a change.

    The world has removed those that guard rows. Those for OR REPLACE on SQLite fire before it; the
    sweep replaces rows too, but foreign keys let few tables show that.
    """
    if conn.dialect.name == "sqlite":
        found = await conn.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
            " AND name NOT LIKE '%_replaced_by_%'"
            " ORDER BY name",
            (table,),
        )
        return [Trigger(row.name, table, tuple(events_in(row.sql)), row.sql) for row in found]
    found = await conn.exec_driver_sql(
        "SELECT tgname, tgtype, pg_get_triggerdef(oid) AS sql FROM pg_trigger"
        " WHERE tgrelid = to_regclass($1) AND NOT tgisinternal ORDER BY tgname",
        (table,),
    )
    return [
        Trigger(
            row.tgname,
            table,
            tuple(event for event, bit in BITS.items() if row.tgtype & bit),
            f"{row.sql}; ALTER TABLE {table} ENABLE ALWAYS TRIGGER {row.tgname}",
        )
        for row in found
    ]


def events_in(sql: str) -> Iterator[str]:
    """Yield the events of a trigger of SQLite."""
    head = re.split(r"\bON\b", sql, maxsplit=1)[0]
    yield from (event for event in (UPDATE, INSERT, DELETE) if re.search(rf"\b{event}\b", head))


@asynccontextmanager
async def without(engine: AsyncEngine, trigger: Trigger) -> AsyncIterator[None]:
    """Remove a trigger, and make it again at the end."""
    async with engine.begin() as conn:
        on = f" ON {trigger.table}" if conn.dialect.name == "postgresql" else ""
        await conn.exec_driver_sql(f"DROP TRIGGER {trigger.name}{on}")
    try:
        yield
    finally:
        async with engine.begin() as conn:
            parts = trigger.sql.split("; ALTER") if conn.dialect.name == "postgresql" else ()
            statements = [parts[0], f"ALTER{parts[1]}"] if parts else [trigger.sql]
            for statement in statements:
                await conn.exec_driver_sql(statement)


@pytest.mark.share(24)
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.rest
async def test_missing_trigger_is_noticed(filled: World, name: str) -> None:
    async with open_engine(filled.owner_url) as engine:
        async with engine.connect() as conn:
            triggers = await triggers_of(conn, name)
        unnoticed = []
        for trigger in triggers:
            async with without(engine, trigger):
                for event in trigger.events:
                    if not await is_noticed(filled, name, event):
                        unnoticed.append(event)
    if not triggers:
        pytest.skip("no answer shows rows of this table")
    events = {event for trigger in triggers for event in trigger.events}
    assert sorted(unnoticed) == sorted(events.intersection(UNSEEN.get(name, ())))


async def is_noticed(filled: World, name: str, event: str) -> bool:
    """Return whether changes of this kind make a server send an old answer.

    A table that others refer to cannot be emptied alone, and the tables of those have triggers too.
    """
    if event == TRUNCATE and any(key.referred_table is TABLES[name] for key in FOREIGN_KEYS):
        return True
    async with sweeping(filled, name) as sweep:
        try:
            await sweep.run(event)
        except OldAnswer:
            while sweep.writer.undos:
                assert await sweep.writer.undo()
            return True
        return False
