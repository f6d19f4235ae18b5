"""Background tasks of a serving process: inbox, reconciler, detachments, comparison, roots and
scheduled documents.

Each one is a task of its own, so that none waits for another.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from billing.background import repeat_until_done, wait_for_event
from billing.issuing import schedule
from billing.ledger import chain_roots
from billing.payment_methods import detach
from billing.payments import daily_comparison, reconcile, webhook_inbox
from billing.payments.context import PaymentContext

INBOX_EVERY_S = 5.0


class BackgroundJobs:
    """The running tasks. `wake` wakes the inbox at once."""

    def __init__(self, context: PaymentContext) -> None:
        self.context = context
        self.mail = asyncio.Event()

    def wake(self) -> None:
        self.mail.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        regular = (
            reconcile.reconcile_untouched,
            detach.detach_cards,
            daily_comparison.compare_due,
            chain_roots.make_due_roots,
            schedule.issue_due,
        )
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
            await wait_for_event(self.mail, INBOX_EVERY_S)
            self.mail.clear()
            await repeat_until_done(lambda: webhook_inbox.handle_waiting(self.context, self.mail))

    async def regularly(self, work: Callable[[PaymentContext], Awaitable[int]]) -> None:
        while True:
            await asyncio.sleep(reconcile.EVERY_S)
            await repeat_until_done(lambda: work(self.context))
