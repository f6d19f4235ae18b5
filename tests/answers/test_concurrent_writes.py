"""Reads among writes: no answer is kept under the versions of other data.

While writers commit, a read may be answered by the data before or after. Once they have ended,
every answer has to be the one of now, so an answer that was kept with wrong versions shows.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from execution.authentication import Authenticator
from models.database import open_engine
from models.database.read_pools import Lanes
from tests.answers.raw_writes import TABLES, Values, same
from tests.answers.servers import Judge, OldAnswer, hits, judging
from tests.answers.world import World, world
from tests.support import shares
from tests.support.comparison import Case

pytestmark = pytest.mark.campaign

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
ROUNDS = shares.number(40, quick=2)
WRITERS, READERS, TRANSACTIONS = 2, 4, 3
# Columns that answers show, in rows of the practice, of one client and of its contact.
WRITTEN = (
    *("practice.name", "clinician.name", "letterhead.name", "client.phone", "contact.name"),
    *("session.description", "invoice.notes", "invoice_line.description", "statement.client_name"),
    *("payment_method.cardholder_name", "ledger_entry.description", "superbill.client_name"),
)
NUMBERS = itertools.count()


class Undone(Exception):
    """A transaction that is rolled back."""


@pytest.fixture(scope="module")
async def filled(new_database: NewDatabase) -> AsyncIterator[World]:
    async with new_database() as url, world(url, 1, generated=1) as made:
        yield made


async def write(engine: AsyncEngine, made: World, chance: random.Random) -> None:
    """Make transactions of some statements each, with pauses; some of them are rolled back."""
    for _ in range(TRANSACTIONS):
        with suppress(Undone, DBAPIError):
            async with engine.begin() as conn:
                for _ in range(chance.randint(1, 3)):
                    name, column = chance.choice(WRITTEN).split(".")
                    row = await shown_row(conn, made, name)
                    changed = update(TABLES[name]).where(same(TABLES[name], row))
                    await conn.execute(changed.values({column: f"{next(NUMBERS)}"}))
                    await asyncio.sleep(chance.random() * 0.004)
                if chance.random() < 0.2:
                    raise Undone
        await asyncio.sleep(0)


async def shown_row(conn: Any, made: World, name: str) -> Values:
    table = TABLES[name]
    of = table.c.invoice_id if name == "invoice_line" else table.c.id
    found = await conn.execute(select(table).where(of.in_(sorted(made.filled))))
    return dict(found.first()._mapping)


async def read(judge: Judge, made: World, chance: random.Random, ended: asyncio.Event) -> None:
    while not ended.is_set():
        case = chance.choice(made.wide)
        status, *_ = await chance.choice(judge.keeping).read(case, made.secrets[case.who])
        assert status == 200
        await asyncio.sleep(0)


async def play(made: World, seed: int) -> None:
    """Write and read at once with new servers, then compare all reads.

    An answer that was read again since it was kept is right again, so only the first ones count.
    """
    ended = asyncio.Event()
    async with (
        judging(made.url, made.secrets, keeping=2) as judge,
        open_engine(made.owner_url) as engine,
    ):
        readers = [
            asyncio.create_task(read(judge, made, random.Random(f"{seed} {number}"), ended))
            for number in range(READERS)
        ]
        writers = (write(engine, made, random.Random(f"{seed} w{n}")) for n in range(WRITERS))
        await asyncio.gather(*writers)
        ended.set()
        await asyncio.gather(*readers)
        judge.note(f"round {seed}")
        await judge.check_all(made.wide)


@pytest.mark.rest
async def test_reads_among_writes_keep_no_old_answer(filled: World) -> None:
    before = hits()
    for seed in range(ROUNDS):
        await play(filled, seed)
    assert hits() - before > ROUNDS * 10


# -- one change between two statements -------------------------------------------------------------


class Interrupted:
    """Reads of the database, of which one is followed by a change: the last of `left`."""

    def __init__(self, engine: AsyncEngine, made: World, patch: pytest.MonkeyPatch) -> None:
        self.engine, self.made, self.left, self.changes = engine, made, 0, 0
        for name in ("row", "value", "row_and_value"):
            patch.setattr(Lanes, name, self.followed(getattr(Lanes, name)))

    def followed(self, run: Callable[..., Any]) -> Callable[..., Any]:
        async def read(lanes: Lanes, *given: Any) -> Any:
            result = await run(lanes, *given)
            self.left -= 1
            if self.left == 0:
                await self.change()
            return result

        return read

    async def change(self) -> None:
        """Change a value of each kind of row in one transaction."""
        self.changes += 1
        async with self.engine.begin() as conn:
            for name, column in (one.split(".") for one in WRITTEN):
                row = await shown_row(conn, self.made, name)
                changed = update(TABLES[name]).where(same(TABLES[name], row))
                await conn.execute(changed.values({column: f"{next(NUMBERS)}"}))


async def interrupt_each_read(made: World, patch: pytest.MonkeyPatch) -> None:
    async with judging(made.url, made.secrets) as judge, open_engine(made.owner_url) as engine:
        interrupted, (server,) = Interrupted(engine, made, patch), judge.keeping
        for who in {case.who for case in made.wide}:
            # The token is known from now on.
            await judge.check(Case(who, "{ viewer { kind } }"))
        for case in made.wide:
            # Before an answer is kept, then after its data has changed.
            for statement, is_kept in ((1, False), (1, True), (2, True)):
                if is_kept:
                    await interrupted.change()
                interrupted.left = statement
                await server.read(case, made.secrets[case.who])
                interrupted.left = 0
                await judge.check(case)
        assert interrupted.changes > 4 * len(made.wide)


async def test_change_after_any_statement_is_in_the_next_answer(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await interrupt_each_read(filled, monkeypatch)


async def test_versions_of_another_moment_are_noticed(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows that the test above can fail: the versions are read after the data."""
    right = Authenticator.read_with_versions

    async def wrong(
        self: Authenticator, session: Any, scope: Any, asked: Any, now: Any
    ) -> tuple[str | None, Any]:
        _, data = await right(self, session, scope, asked, now)
        return await self.versions(session, scope, now), data

    monkeypatch.setattr(Authenticator, "read_with_versions", wrong)
    with pytest.raises(OldAnswer):
        await interrupt_each_read(filled, monkeypatch)
