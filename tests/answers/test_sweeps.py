"""Each change of each table by plain SQL: no kept answer outlives it, and no missing trigger would
go unnoticed.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from models.database import open_engine
from tests.answers.missing_triggers import triggers_of, without
from tests.answers.raw_writes import TABLES, RawWriter
from tests.answers.servers import OldAnswer, hits, judging
from tests.answers.sweeps import DELETE, EVENTS, INSERT, TRUNCATE, Sweep
from tests.answers.world import World, world

pytestmark = pytest.mark.campaign

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
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
