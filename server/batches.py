"""What requests leave behind is written off their path, for many of them at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from billing.background import happens
from models.database import TransientError

EVERY_S = 5.0

Flush = Callable[[], Awaitable[None]]

log = logging.getLogger("portal")


@asynccontextmanager
async def flushing(*batches: Flush, every_s: float = EVERY_S) -> AsyncIterator[None]:
    """Each batch is written every few seconds, and once more in the end."""
    ended = asyncio.Event()

    async def regularly() -> None:
        while not ended.is_set():
            # Never broken off amid a batch: what the database took would be written once more.
            await happens(ended, every_s)
            await flushed(batches)

    task = asyncio.create_task(regularly())
    try:
        yield
    finally:
        ended.set()
        await task


async def flushed(batches: tuple[Flush, ...]) -> None:
    """One that can't be written now is told, and tried again with the next."""
    for flush in batches:
        try:
            await flush()
        except TransientError as error:
            log.warning("a batch waits for the database: %s", error)
        except Exception:
            log.exception("a batch could not be written")
