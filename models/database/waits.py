"""Limits of connections: how long anything waits, and how much is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

BUSY_TIMEOUT_MS = 10_000
PREPARED_A_CONNECTION = 100
# How much later than the database this side gives a statement up.
GRACE_S = 2.0

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


# For migrations and the command line: statements of any length.
PATIENT = Waits(lock_s=BUSY_TIMEOUT_MS / 1000, statement_s=0, idle_s=0)
