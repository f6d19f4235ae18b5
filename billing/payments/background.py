"""Background tasks of a serving process: inbox, reconciler, detachments, daily comparison.

Each one is a task of its own, so that none waits for another.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from billing.background import happens, surely
from billing.payment_methods import detach
from billing.payments import daily_comparison, reconcile, webhook_inbox
from billing.payments.context import Till

INBOX_EVERY_S = 5.0


class Errands:
    """The running tasks. `hurry` wakes the inbox at once."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.mail = asyncio.Event()

    def hurry(self) -> None:
        self.mail.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        regular = (reconcile.reconcile, detach.work, daily_comparison.work)
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
            await surely(lambda: webhook_inbox.work(self.till, self.mail))

    async def regularly(self, work: Callable[[Till], Awaitable[int]]) -> None:
        while True:
            await asyncio.sleep(reconcile.EVERY_S)
            await surely(lambda: work(self.till))
