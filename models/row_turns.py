"""Turns: transactions that need the same row run one at a time in each process.

So a locked row takes one connection of the pool, however many requests wait for it, and the other
connections stay free.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from copy import copy
from weakref import WeakValueDictionary

from models.database import DatabaseBusy


class Turns:
    """A turn for each key, in the order of requests."""

    def __init__(self, within_s: float) -> None:
        self.within_s = within_s
        # A lock is removed when no task holds it or waits for it.
        self.locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    def within(self, seconds: float) -> "Turns":
        """Return the same turns with another time limit for waiting."""
        turns = copy(self)
        turns.within_s = seconds
        return turns

    @asynccontextmanager
    async def of(self, *key: Hashable) -> AsyncIterator[None]:
        """Hold the turn of a key. Raise DatabaseBusy if the wait takes too long."""
        lock = self.locks.get(key)
        if lock is None:
            lock = self.locks[key] = asyncio.Lock()
        try:
            async with asyncio.timeout(self.within_s):
                await lock.acquire()
        except TimeoutError:
            raise DatabaseBusy("others wait for the same row") from None
        try:
            yield
        finally:
            lock.release()
