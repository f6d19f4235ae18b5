"""A thread for work on documents that would block the event loop: parsing, validating, planning.

The thread and the event loop share one interpreter. While the thread works, each step of any other
request waits for the interpreter lock. So the thread works for a limited share of the time.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from execution.garbage_collection import pause
from models.database import Budgets, Caller, Lane

V = TypeVar("V")

# A second of planning counts as this many of the database, since requests share one interpreter.
PLANNING_COUNTS = 8
# The share of the time in which a thread may work, and the seconds that it may work before it
# rests: a few new documents are planned without delay.
SHARE, BURST_S = 0.25, 0.25


class Pace:
    """A limit on work: a share of the time, with bursts."""

    def __init__(self, share: float, burst_s: float) -> None:
        self.share, self.burst_s = share, burst_s
        self.left_s, self.at = burst_s, time.monotonic()

    def rest_after(self, took_s: float) -> float:
        """Count work that has ended just now, and return the seconds to rest after it."""
        now = time.monotonic()
        returned = self.left_s + (now - self.at) * self.share
        self.left_s, self.at = min(returned, self.burst_s) - took_s, now
        return max(-self.left_s, 0.0) / self.share


class PlanningThread:
    """A thread and its single slot, which the callers get in fair turns.

    The processor time of work counts toward the budget of the caller's token.
    """

    def __init__(self, budgets: Budgets, share: float = SHARE) -> None:
        self.pace = Pace(share, BURST_S)
        self.lane = Lane(1, budgets=budgets, is_charged=False)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="plans")

    async def run(self, caller: Caller, work: Callable[..., V], *given: Any) -> V:
        """Run work of a caller in the thread, and return its result."""
        loop = asyncio.get_running_loop()
        async with self.lane.place(caller):
            # A log line of the work has the request's id.
            timed = partial(copy_context().run, self.timed, loop, caller, work, *given)
            doing = loop.run_in_executor(self.thread, timed)
            try:
                return await asyncio.shield(doing)
            except asyncio.CancelledError:
                # The thread keeps running, so its slot is held until the work is done.
                await asyncio.wait([doing])
                raise

    def timed(
        self,
        loop: asyncio.AbstractEventLoop,
        caller: Caller,
        work: Callable[..., V],
        *given: Any,
    ) -> V:
        """Run work in the thread, charge its processor time, and rest if it took too much."""
        began = time.thread_time()
        try:
            with pause.held():
                return work(*given)
        finally:
            took = time.thread_time() - began
            if rest := self.pace.rest_after(took):
                self.thread.submit(time.sleep, rest)
            loop.call_soon_threadsafe(self.lane.budgets.spend, caller, PLANNING_COUNTS * took)
