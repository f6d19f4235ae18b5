"""Limits of connections: how long anything waits, and how much is kept."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

BUSY_TIMEOUT_MS = 10_000
# How long a read may go on whose connection was closed.
GONE_AFTER_S = 1.0
# For the lock of a table, which only whoever changes the table itself keeps from a read.
READ_LOCK_S = 1.0
PREPARED_A_CONNECTION = 100
# How much later than the database this side gives a statement up.
GRACE_S = 2.0
# How many times longer than a request background work waits: nobody waits for its answer.
BACKGROUND_PATIENCE = 4

# A statement and its parameters.
Statement = tuple[str, Sequence[Any]]


@dataclass(frozen=True)
class Waits:
    """How long a transaction may wait, in seconds (0: for ever), and on how many connections.

    `lock_s`: for a lock that another transaction has, and for a connection. `statement_s`: for one
    statement. `idle_s`: for its own process to go on with it, which may be stopped.
    """

    lock_s: float
    statement_s: float
    idle_s: float
    connections: int = 10

    @property
    def of_background(self) -> "Waits":
        """Return how long background work waits where requests wait so long."""
        return replace(
            self,
            lock_s=BACKGROUND_PATIENCE * self.lock_s,
            statement_s=BACKGROUND_PATIENCE * self.statement_s,
        )


# For migrations and the command line: statements of any length.
PATIENT = Waits(lock_s=BUSY_TIMEOUT_MS / 1000, statement_s=0, idle_s=0)


async def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Do the work to its end, also where the task that waits for it is cancelled meanwhile."""
    running = asyncio.ensure_future(work)
    while not running.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([running])
    running.result()
