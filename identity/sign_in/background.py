"""Background tasks of signing in: sending mail, and removing expired rows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from billing.background import repeat_until_done, wait_for_event
from identity.sign_in import outbox, worker
from identity.sign_in.context import SignInContext

LOOK_EVERY_S = 5.0
SWEEP_EVERY_S = 300.0
# The delay between a request and the worker, so that the work for a known address does not slow the
# response.
PAUSE_S = 0.3


@asynccontextmanager
async def running(context: SignInContext) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(answerer(context)), asyncio.create_task(sweeper(context))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answerer(context: SignInContext) -> None:
    while True:
        if await wait_for_event(context.asked, LOOK_EVERY_S):
            await asyncio.sleep(PAUSE_S)
        context.asked.clear()
        await repeat_until_done(lambda: worker.answer_waiting(context))


async def sweeper(context: SignInContext) -> None:
    while True:
        # The pause comes first, so that a server that stops at once has no work under way.
        await asyncio.sleep(SWEEP_EVERY_S)
        await repeat_until_done(lambda: outbox.delete_old(context))
