"""Queues: a worker has a row for its lease, and no item keeps the others from being worked on."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Row, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from models import StripeEvent
from models.connections import opened
from models.leases import Queue
from tests.leases import run_out
from tests.schema import prepare

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NOON = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
QUEUE = Queue("event", StripeEvent, logging.getLogger("test"), together="object_id")


@pytest.fixture
async def database(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    """Six events, two of each of three objects."""
    async with new_database() as url:
        await prepare(url)
        async with opened(url) as engine:
            events = [
                {"id": f"evt_{n}", "type": "test", "object_id": f"pi_{n % 3}", "received_at": NOON}
                for n in range(6)
            ]
            async with engine.begin() as conn:
                await conn.execute(insert(StripeEvent), events)
            yield engine


async def run(database: AsyncEngine, work: Any, queue: Queue = QUEUE) -> list[str]:
    """Run through the queue; the ids of what was begun."""
    begun: list[str] = []

    async def claim(but: Sequence[str]) -> Row[Any] | None:
        waiting = StripeEvent.handled_at.is_(None), StripeEvent.id.not_in(begun)
        return await queue.claim(database, but, *waiting, order=[StripeEvent.id])

    async def begin(row: Row[Any]) -> None:
        begun.append(row.id)
        await work(row)

    await queue.run(database, claim, begin)
    return begun


async def test_a_bad_item_and_one_that_hangs_end_no_batch(database: AsyncEngine) -> None:
    async def work(row: Row[Any]) -> None:
        if row.object_id == "pi_0":
            raise ValueError("bad")
        if row.object_id == "pi_1":
            await asyncio.Event().wait()

    begun = await run(database, work, replace(QUEUE, within_s=0.3))
    # Of what fails the rest is left alone for this run.
    assert set(begun) == {"evt_0", "evt_1", "evt_2", "evt_5"}


async def test_one_of_an_object_at_a_time_and_several_in_all(database: AsyncEngine) -> None:
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


async def test_what_failed_is_another_workers_after_the_lease(database: AsyncEngine) -> None:
    async def fail(_: Row[Any]) -> None:
        raise ValueError

    async def work(_: Row[Any]) -> None:
        """Nothing."""

    failed = await run(database, fail)
    assert set(failed).isdisjoint(await run(database, work))
    await run_out(database)
    assert set(failed) <= set(await run(database, work))
