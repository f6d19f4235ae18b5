"""Batches: data that requests leave behind is written in the background, for many requests at a
time.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from billing.background import wait_for_event
from models.database import TransientError

EVERY_S = 5.0

Flush = Callable[[], Awaitable[None]]

log = logging.getLogger("portal")


@asynccontextmanager
async def flush_regularly(*batches: Flush, every_s: float = EVERY_S) -> AsyncIterator[None]:
    """Write each batch every few seconds, and once more at the end."""
    ended = asyncio.Event()

    async def regularly() -> None:
        while not ended.is_set():
            # A batch is never interrupted: rows already in the database would be written again.
            await wait_for_event(ended, every_s)
            await flush_batches(batches)

    task = asyncio.create_task(regularly())
    try:
        yield
    finally:
        ended.set()
        await task


async def flush_batches(batches: tuple[Flush, ...]) -> None:
    """Write each batch. A failure is logged, and the batch is retried next time."""
    for flush in batches:
        try:
            await flush()
        except TransientError as error:
            log.warning("a batch waits for the database: %s", error)
        except Exception:
            log.exception("a batch could not be written")
