"""Daily roots of the books: contents, reading, and the effect of a failing one."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from billing import background
from billing.entry.commands import EntryContext, enter_for_client, enter_practice
from billing.entry.credits import Credit, give_credit
from billing.ledger import chain_roots
from billing.ledger.chain_roots import make_due_roots, make_root
from billing.ledger.hash_chain import CHAINED, Chain, row_key
from models import ChainLink, ChainRoot, LedgerEntry
from models.database import DatabaseBusy
from tests.support import books
from tests.support.entries import PRACTICE
from tests.support.payments import Paying, paying
from tests.support.reversals import paid
from tests.support.unprotected import unprotected

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    """Yield a portal with one payment."""
    async with new_database() as url, paying(url) as it:
        await paid(it, 10_000)
        yield it


async def subjects(portal: Paying) -> list[str]:
    found = await books.findings(portal.engine, portal.practice_id)
    return [one.difference.subject for one in found]


async def roots_of_two_days(portal: Paying) -> None:
    """Have the portal make a root, write more rows, and make another one a day later."""
    portal.clock.time += dt.timedelta(days=1)
    assert await make_due_roots(portal.payment_context) == 1
    portal.bearer = await portal.token()
    await paid(portal, 2_500)
    portal.clock.time += dt.timedelta(days=1)
    assert await make_due_roots(portal.payment_context) == 1


async def rewrite(portal: Paying, *, also_roots: bool) -> None:
    """Change the first ledger row, and rewrite the client's chain, and the roots, to fit."""
    tables = ("ledger_entry", "chain_link", "chain_root")
    async with unprotected(portal.url, *tables) as conn:
        mine = LedgerEntry.client_id == portal.client_id
        await conn.execute(update(LedgerEntry).where(mine).values(description="Rewritten"))
        stored = {
            (table.__tablename__.upper(), row_key(table, values := dict(row._mapping))): (
                table,
                values,
            )
            for table in CHAINED
            for row in await conn.execute(select(table.__table__))
        }
        order = ChainLink.client_id, ChainLink.position
        links = (await conn.execute(select(ChainLink.__table__).order_by(*order))).all()
        await conn.execute(delete(ChainLink))
        chains: dict[str, Chain] = {}
        for each in links:
            chain = chains.setdefault(each.client_id, Chain(portal.practice_id, each.client_id))
            link = chain.link(stored[each.table_name, each.row_key], each.added_at)
            await conn.execute(insert(ChainLink).values(link))
        roots = (await conn.execute(select(ChainRoot.__table__).order_by(ChainRoot.day))).all()
        if also_roots:
            await conn.execute(delete(ChainRoot))
    for root in roots if also_roots else ():
        await make_root(portal.engine, portal.practice_id, root.day, root.made_at)


async def test_a_chain_rewritten_as_a_whole_differs_from_its_root(portal: Paying) -> None:
    await roots_of_two_days(portal)
    assert await subjects(portal) == []
    await rewrite(portal, also_roots=False)
    assert await subjects(portal) == ["root of 2026-03-15", "root of 2026-03-16"]


async def test_each_practice_gets_one_root_a_day(portal: Paying) -> None:
    assert await make_due_roots(portal.payment_context) == 1
    made = await asyncio.gather(*(make_due_roots(portal.payment_context) for _ in range(3)))
    assert made == [0, 0, 0]
    portal.clock.time = dt.datetime(2026, 3, 16, 0, 59, tzinfo=dt.UTC)
    # A transaction of the last day may still be under way.
    assert await make_due_roots(portal.payment_context) == 0
    portal.clock.time += dt.timedelta(minutes=1)
    made = await asyncio.gather(*(make_due_roots(portal.payment_context) for _ in range(3)))
    assert max(made) == 1
    days = [root.day for root in await portal.all(ChainRoot)]
    assert sorted(days) == [dt.date(2026, 3, 14), dt.date(2026, 3, 15)]
    assert await subjects(portal) == []


async def test_removed_root_is_missed_by_the_next_one(portal: Paying) -> None:
    await roots_of_two_days(portal)
    async with unprotected(portal.url, "chain_root") as conn:
        await conn.execute(delete(ChainRoot).where(ChainRoot.day == dt.date(2026, 3, 15)))
    assert await subjects(portal) == ["root of 2026-03-16"]


async def test_root_is_the_same_by_many_pages_as_by_one(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, other = EntryContext(portal.engine, portal.clock), portal.other_id
    for minor in (500, 700, 900):
        given = give_credit, Credit(minor, "Courtesy")
        await enter_for_client(entries, portal.practice_id, other, *given)
    await roots_of_two_days(portal)
    by_one = await root_hashes(portal)
    assert len(by_one) == 2
    assert chain_roots.PAGE > await portal.count(ChainLink) > 5
    for size in (1, 2, 5):
        monkeypatch.setattr(chain_roots, "PAGE", size)
        async with unprotected(portal.url, "chain_root") as conn:
            await conn.execute(delete(ChainRoot))
        for day, _ in by_one:
            await make_root(portal.engine, portal.practice_id, day, portal.clock())
        assert await root_hashes(portal) == by_one
    assert await subjects(portal) == []


async def root_hashes(portal: Paying) -> list[tuple[dt.date, bytes]]:
    return sorted((root.day, root.hash) for root in await portal.all(ChainRoot))


async def test_failing_root_is_logged_once_and_does_not_stop_the_others(
    portal: Paying, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entries, another = EntryContext(portal.engine, portal.clock), replace(PRACTICE, name="Cove")
    ids = sorted([portal.practice_id, await enter_practice(entries, another)])
    roots = {"failing": ids[0]}
    hashed = chain_roots.heads

    def heads(engine: Any, practice_id: str, *period: Any) -> Any:
        if practice_id == roots["failing"]:
            raise ValueError("a link that can't be read")
        return hashed(engine, practice_id, *period)

    monkeypatch.setattr(chain_roots, "heads", heads)

    async def failing(practice_id: str) -> list[str]:
        roots["failing"] = practice_id
        await make_due_roots(portal.payment_context)
        return sorted({root.practice_id for root in await portal.all(ChainRoot)})

    with caplog.at_level(logging.DEBUG, "portal.payments"):
        for _ in range(3):
            assert await failing(ids[0]) == ids[1:]
        portal.clock.time += dt.timedelta(days=1)
        # The next day the other one fails, whichever of them comes first.
        assert await failing(ids[1]) == ids
    logged = [one for one in caplog.records if "has no root" in one.getMessage()]
    warned = [one for one in logged if one.levelno >= logging.WARNING]
    assert (len(logged), len(warned)) == (4, 2)
    for practice_id, one in zip(ids, warned, strict=True):
        assert practice_id in one.getMessage()
        assert one.exc_info
    assert await failing("") == ids


async def test_root_of_a_busy_database_is_tried_again_soon(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, write = 0, chain_roots.make_root

    async def busy_at_first(*given: Any) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise DatabaseBusy("a lock was not had in time")
        await write(*given)

    monkeypatch.setattr(chain_roots, "make_root", busy_at_first)
    monkeypatch.setattr(background, "AGAIN_AFTER_S", 0.0)
    await background.repeat_until_done(lambda: make_due_roots(portal.payment_context))
    assert await portal.count(ChainRoot) == 1
