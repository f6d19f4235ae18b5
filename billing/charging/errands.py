"""Background work of a serving process: the inbox, the reconciler, detachments, the comparison.

Each has a task of its own, so that none waits for another.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from billing.cards import forgetting
from billing.charging import comparing, inbox, reconciling
from billing.till import Till
from models.database import TransientError

INBOX_EVERY_S = 5.0

log = logging.getLogger("portal.payments")


class Errands:
    """The tasks. `hurry` has the inbox looked into at once."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.mail = asyncio.Event()

    def hurry(self) -> None:
        self.mail.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        regular = (reconciling.reconcile, forgetting.work, comparing.work)
        works = [self.inbox(), *(self.regularly(work) for work in regular)]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def inbox(self) -> None:
        while True:
            await happens(self.mail, INBOX_EVERY_S)
            self.mail.clear()
            await surely(lambda: inbox.work(self.till, self.mail))

    async def regularly(self, work: Callable[[Till], Awaitable[int]]) -> None:
        while True:
            await asyncio.sleep(reconciling.EVERY_S)
            await surely(lambda: work(self.till))


async def happens(event: asyncio.Event, within_s: float) -> bool:
    """Wait for an event, and return whether it happened in time.

    Not by asyncio.wait_for: in Python 3.11 that swallows a cancellation which comes at the same
    moment as the event, and the task would go on for ever.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            return await event.wait()
    return False


async def surely(errand: Callable[[], Awaitable[int]]) -> None:
    """Run an errand; log a failure, and leave the rest to the next run."""
    try:
        await errand()
    except TransientError as error:
        log.warning("an errand waits for the database: %s", error)
    except Exception:
        log.exception("an errand failed")
