"""Bounded queues for work that anybody can cause."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """There is no place in a queue, or none was had in time."""


class BoundedQueue:
    """Places for requests: so many at once, so many more that wait, and of one sender so many.

    A request that finds no place is told so at once, and holds nothing.
    """

    def __init__(self, *, at_once: int, most: int, most_of_one: int, wait_s: float) -> None:
        self.most, self.most_of_one, self.wait_s = most, most_of_one, wait_s
        self.running = asyncio.Semaphore(at_once)
        self.present: Counter[str] = Counter()

    @asynccontextmanager
    async def place(self, sender: str) -> AsyncIterator[None]:
        """Wait for a place and hold it; raise QueueFull if there is none."""
        if self.present.total() >= self.most or self.present[sender] >= self.most_of_one:
            raise QueueFull("too many requests wait already")
        self.present[sender] += 1
        try:
            try:
                async with asyncio.timeout(self.wait_s):
                    await self.running.acquire()
            except TimeoutError:
                raise QueueFull("no place was free in time") from None
            try:
                yield
            finally:
                self.running.release()
        finally:
            self.present[sender] -= 1
            if not self.present[sender]:
                del self.present[sender]
