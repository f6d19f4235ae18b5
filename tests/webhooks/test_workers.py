"""The delivery of events by workers that are killed, and by several of them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from billing.outbox import endpoints
from tests.support.demo_server import PROJECT
from tests.support.event_receiver import OK, Received, receiving
from tests.support.leases import run_out
from tests.support.webhooks import FIELD_KEY, HookDesk
from tests.webhooks.delivering import accepting, deliver_all, enter_some

# Seconds, far more than any delivery takes.
SOON_S = 60.0


@asynccontextmanager
async def working(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = sys.executable, "-m", "tests.support.event_worker", url, FIELD_KEY
    process = await asyncio.create_subprocess_exec(
        *command, cwd=PROJECT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.twins(4)
async def test_event_is_sent_again_when_the_worker_is_killed_before_it_is_marked(
    hooks: HookDesk,
) -> None:
    killed = asyncio.Event()

    async def kill(message: Received) -> bytes | None:
        os.kill(process.pid, signal.SIGKILL)
        killed.set()
        return None

    async with receiving(kill) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 3)
        async with working(hooks.url) as process, asyncio.timeout(SOON_S):
            await killed.wait()
            await process.wait()
        expected = (await hooks.ids())[-3:]
        assert [one.id for one in receiver.received] == expected[:1]
        receiver.behaviour = accepting
        # The dead worker's lease is kept until its end.
        assert await hooks.worker().give_turns() == 0
        await run_out(hooks.desk.engine)
        await deliver_all(hooks, endpoint)
    assert [one.id for one in receiver.received] == [expected[0], *expected]


@pytest.mark.rest
@pytest.mark.twins(1)
async def test_two_processes_deliver_each_event_once(hooks: HookDesk) -> None:
    complete, count = asyncio.Event(), 30

    async def accept_all(_: Received) -> bytes:
        if len(receiver.received) == count + 1:
            complete.set()
        return OK

    async with receiving(accept_all) as receiver:
        await hooks.add(receiver)
        async with working(hooks.url), working(hooks.url), asyncio.timeout(SOON_S):
            await enter_some(hooks, count + 1)
            await complete.wait()
    # The last event may not be marked when the processes are ended; all others are.
    assert [one.id for one in receiver.received] == (await hooks.ids())[-count - 1 :]


@pytest.mark.twins(1)
async def test_worker_without_its_lease_sends_nothing_more(hooks: HookDesk) -> None:
    async def take_away(_: Received) -> bytes:
        receiver.behaviour = accepting
        await run_out(hooks.desk.engine)
        return OK

    async with receiving(take_away) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 3)
        await deliver_all(hooks, endpoint)
    first, *others = (await hooks.ids())[-3:]
    assert [one.id for one in receiver.received] == [first, first, *others]


@pytest.mark.twins(1)
async def test_replay_sends_events_again_in_their_order(hooks: HookDesk) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 4)
        await deliver_all(hooks, endpoint)
        since = (await hooks.events())[-3].version
        async with hooks.desk.engine.begin() as conn:
            await endpoints.replay_events(conn, endpoint, since)
        await deliver_all(hooks, endpoint)
    ids = await hooks.ids()
    assert [one.id for one in receiver.received] == [*ids[-4:], *ids[-2:]]
    assert len({one.body for one in receiver.received}) == 4
