"""Queues: a worker has a row for the length of its lease, and no item delays the others."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.payments import reconcile, webhook_inbox
from models import StripeEvent
from models.database import DatabaseBusy, open_engine
from models.leases import Excluded, Lease, Queue
from tests.support.empty_databases import prepare
from tests.support.leases import run_out
from tests.support.payments import ASKS, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NOON = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
QUEUE = Queue("event", StripeEvent, logging.getLogger("test"), together="object_id")


@pytest.fixture
async def database(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    """Yield a database with six events, two for each of three objects."""
    async with new_database() as url:
        await prepare(url)
        async with open_engine(url) as engine:
            events = [
                {"id": f"evt_{n}", "type": "test", "object_id": f"pi_{n % 3}", "received_at": NOON}
                for n in range(6)
            ]
            async with engine.begin() as conn:
                await conn.execute(insert(StripeEvent), events)
            yield engine


async def run(
    database: AsyncEngine, work: Any, queue: Queue = QUEUE, news: asyncio.Event | None = None
) -> list[str]:
    """Run through the queue, and return the ids of the items begun."""
    begun: list[str] = []

    async def claim(but: Excluded) -> Lease | None:
        waiting = StripeEvent.handled_at.is_(None), StripeEvent.id.not_in(begun)
        return await queue.claim(database, but, *waiting, order=[StripeEvent.id])

    async def begin(row: Row[Any]) -> None:
        begun.append(row.id)
        await work(row)

    await queue.run(database, claim, begin, news)
    return begun


async def test_failing_and_hanging_items_do_not_stop_the_others(database: AsyncEngine) -> None:
    async def work(row: Row[Any]) -> None:
        if row.object_id == "pi_0":
            raise ValueError("bad")
        if row.object_id == "pi_1":
            await asyncio.Event().wait()

    begun = await run(database, work, replace(QUEUE, within_s=0.3))
    # The other item of a failed object is skipped in this run.
    assert set(begun) == {"evt_0", "evt_1", "evt_2", "evt_5"}


async def test_items_of_one_object_run_one_at_a_time_and_several_in_all(
    database: AsyncEngine,
) -> None:
    working: list[str] = []
    most = 0

    async def work(row: Row[Any]) -> None:
        nonlocal most
        assert row.object_id not in working
        working.append(row.object_id)
        most = max(most, len(working))
        await asyncio.sleep(0.1)
        working.remove(row.object_id)

    assert len(await run(database, work)) == 6
    assert 1 < most <= 3


async def test_failed_item_is_free_for_another_worker_after_its_lease(
    database: AsyncEngine,
) -> None:
    async def fail(_: Row[Any]) -> None:
        raise ValueError

    async def work(_: Row[Any]) -> None:
        """Do nothing."""

    failed = await run(database, fail)
    assert set(failed).isdisjoint(await run(database, work))
    await run_out(database)
    assert set(failed) <= set(await run(database, work))


# -- while one item hangs --------------------------------------------------------------------------


async def arrive(database: AsyncEngine, **facts: str) -> None:
    """Insert one more event, of an object of its own."""
    event = {"id": "evt_new", "type": "test", "object_id": "pi_new", "received_at": NOON}
    async with database.begin() as conn:
        await conn.execute(insert(StripeEvent).values(event | facts))


@pytest.mark.parametrize("is_told", [True, False])
async def test_new_item_does_not_wait_for_a_hanging_one(
    database: AsyncEngine, *, is_told: bool
) -> None:
    hanging, news, came = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def work(row: Row[Any]) -> None:
        if row.id == "evt_0":
            await hanging.wait()
        ended.append(row.id)
        if row.id == "evt_new":
            came.set()

    async with asyncio.timeout(20):
        running = asyncio.create_task(run(database, work, news=news))
        while len(ended) < 4:  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.01)
        # By then, workers without an item have looked for one.
        await asyncio.sleep(0.3)
        await arrive(database)
        if is_told:
            news.set()
        await came.wait()
        hanging.set()
        assert set(await running) == {f"evt_{n}" for n in range(6)} | {"evt_new"}


async def test_group_uses_no_more_than_its_places(database: AsyncEngine) -> None:
    queue = replace(QUEUE, together="id", groups=("practice_id", "account"), within_s=60.0)
    came, held = asyncio.Event(), set[str]()
    await arrive(database, account="acct_other")

    async def work(row: Row[Any]) -> None:
        if row.id == "evt_new":
            came.set()
        else:
            held.add(row.id)
            await came.wait()

    async with asyncio.timeout(40):
        await run(database, work, queue)
    assert len(held) == 6


async def test_failed_claim_does_not_stop_running_work(database: AsyncEngine) -> None:
    claimed, ended = list[str](), list[str]()

    async def claim(but: Excluded) -> Lease | None:
        if len(claimed) == 2:
            raise DatabaseBusy("no connection in time")
        lease = await QUEUE.claim(database, but, order=[StripeEvent.id])
        assert lease is not None
        claimed.append(lease.row.id)
        return lease

    async def work(row: Row[Any]) -> None:
        await asyncio.sleep(0.2)
        ended.append(row.id)

    with pytest.raises(DatabaseBusy):
        await QUEUE.run(database, claim, work)
    assert sorted(ended) == sorted(claimed)


async def test_late_end_keeps_the_lease_of_the_next_worker(database: AsyncEngine) -> None:
    """The lease of a stopped process has run out, and another worker has its row."""

    async def lease(id_: str) -> dt.datetime | None:
        async with database.connect() as conn:
            until = select(StripeEvent.leased_until).where(StripeEvent.id == id_)
            found: dt.datetime | None = await conn.scalar(until)
            return found

    taken: dict[str, Any] = {}

    async def work(row: Row[Any]) -> None:
        if not taken:
            await run_out(database)
            mine = StripeEvent.id == row.id
            other = await QUEUE.claim(database, Excluded(), mine, order=[StripeEvent.id])
            assert other is not None
            taken[row.id] = other.row.leased_until

    await run(database, work, replace(QUEUE, at_once=1))
    (id_,) = taken
    assert await lease(id_) == taken[id_]


# -- clocks ----------------------------------------------------------------------------------------

HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize("wrong", [HOUR, -HOUR], ids=["ahead", "behind"])
@pytest.mark.parametrize("queue", ["inbox", "reconciling"])
async def test_wrong_clock_takes_no_row_from_another_worker(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch, queue: str, wrong: dt.timedelta
) -> None:
    """Two processes run, one of them with a wrong clock; either may be the first."""
    monkeypatch.setattr("billing.payments.background.INBOX_EVERY_S", 1e6)
    monkeypatch.setattr("billing.payments.reconcile.EVERY_S", 1e6)
    work, item = {
        "inbox": (webhook_inbox.handle_waiting, "billing.payments.webhook_inbox.handle"),
        "reconciling": (reconcile.reconcile_untouched, "billing.payments.reconcile.converge"),
    }[queue]
    async with new_database() as url, paying(url) as portal, open_engine(url) as second:
        await portal.invoice(10_000)
        await portal.pay(10_000, portal.card(ASKS))
        event = {"id": "evt_1", "type": "test", "object_id": "pi_1", "received_at": NOON}
        await portal.insert(StripeEvent, event)
        # By both clocks, the payment was untouched for a long time.
        portal.clock.time += 3 * HOUR
        first = portal.payment_context
        other = replace(first, engine=second, now=lambda: portal.clock() + wrong)
        for one, next_ in ((first, other), (other, first)):
            begun, end = asyncio.Event(), asyncio.Event()

            async def hold(
                *_: object, begun: asyncio.Event = begun, end: asyncio.Event = end
            ) -> None:
                begun.set()
                await end.wait()

            monkeypatch.setattr(item, hold)
            async with asyncio.timeout(20):
                at_work = asyncio.create_task(work(one))
                await begun.wait()
                assert await work(next_) == 0
                # Also much later by both clocks, since the database's clock is the one that counts.
                portal.clock.time += 3 * HOUR
                assert await work(next_) == 0
                end.set()
                assert await at_work == 1
            portal.clock.time += 3 * HOUR
