"""Bounded queues for work that requests without a valid token can cause."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """The refusal of a place in a queue, because it is full or the wait took too long."""


class BoundedQueue:
    """A queue with limits on running requests, on requests in total, and on requests of one sender.

    A request without a place is refused at once and holds no resources.
    """

    def __init__(self, *, at_once: int, most: int, most_of_one: int, wait_s: float) -> None:
        self.most, self.most_of_one, self.wait_s = most, most_of_one, wait_s
        self.running = asyncio.Semaphore(at_once)
        self.present: Counter[str] = Counter()

    @asynccontextmanager
    async def place(self, sender: str) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raise QueueFull if there is none."""
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
