"""What a serving process does beside its answers: it empties the inbox, it reconciles, has Stripe
forget cards, and once a day it compares."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from billing.cards import forgetting
from billing.charging import comparing, inbox, reconciling
from billing.till import Till

INBOX_EVERY_S = 5.0

log = logging.getLogger("portal.payments")


class Errands:
    """Both tasks; `hurry` has the inbox looked into at once."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.mail = asyncio.Event()

    def hurry(self) -> None:
        self.mail.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.inbox()), asyncio.create_task(self.reconciler())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def inbox(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.mail.wait(), INBOX_EVERY_S)
            self.mail.clear()
            await surely(lambda: inbox.work(self.till))

    async def reconciler(self) -> None:
        while True:
            await asyncio.sleep(reconciling.EVERY_S)
            await surely(lambda: reconciling.reconcile(self.till))
            await surely(lambda: forgetting.work(self.till))
            await surely(lambda: comparing.work(self.till))


async def surely(errand: Callable[[], Awaitable[int]]) -> None:
    """Again and again while there is something to do; a failure is told, and the next try comes."""
    try:
        while await errand():
            pass
    except Exception:
        log.exception("an errand failed")
