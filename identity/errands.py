"""What a serving process does for signing in beside its answers: it sends mail, and sweeps up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from billing.background import happens, surely
from identity import answering, outbox
from identity.door import Door

LOOK_EVERY_S = 5.0
SWEEP_EVERY_S = 300.0
# So long after a request the worker begins, so that what it does for an address that is known
# takes nothing from the time of the answer.
PAUSE_S = 0.3


@asynccontextmanager
async def running(door: Door) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(answerer(door)), asyncio.create_task(sweeper(door))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answerer(door: Door) -> None:
    while True:
        if await happens(door.asked, LOOK_EVERY_S):
            await asyncio.sleep(PAUSE_S)
        door.asked.clear()
        await surely(lambda: answering.work(door))


async def sweeper(door: Door) -> None:
    while True:
        # First, so that a server that is stopped at once has nothing under way.
        await asyncio.sleep(SWEEP_EVERY_S)
        await surely(lambda: outbox.sweep(door))
