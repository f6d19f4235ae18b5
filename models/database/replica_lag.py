"""The lag of a replica: the age of the newest moment whose commits it certainly has.

Each second the primary is asked for the end of its log. Once the replica has replayed the log up to
there, it has all that was committed before the question. So an idle primary is no lag, and no clock
but this process's own is read.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from models.database.connector import PROBE_EVERY_S, PROBE_S, PostgresConnector
from models.database.errors import one_line_reason
from models.database.postgres import PostgresReads
from models.measures import REPLICA_LAG

# Moments that the replica has not reached; the oldest is forgotten first, which adds to the lag.
MOST_MOMENTS = 1_000
# Pages of the log, and their longest header. The end of the log is told as behind the header of a
# page that nothing was written to yet, where a replica is before it.
PAGE_LENGTH, LONGEST_HEADER = 8_192, 40
# The rows and rights that the primary was checked for hold on a copy of it for the same role.
COPY = """
    (SELECT system_identifier FROM pg_control_system())::text,
    current_database()::text, current_user::text, current_schemas(false)::text
"""
# A server that was made the primary begins another timeline of the log.
PRIMARY = f"""
SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8),
    (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint, {COPY}
"""
REPLICA = f"""
SELECT lpad(upper(to_hex((SELECT timeline_id FROM pg_control_checkpoint()))), 8, '0'),
    (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint, {COPY}
"""  # noqa: S608 - of constants

log = logging.getLogger("portal")


@dataclass(frozen=True)
class LogPosition:
    """A server's position in a log, and what the server is a copy of."""

    timeline: str
    position: int
    copy: tuple[str, ...]

    @classmethod
    def of(cls, row: Sequence[Any] | None) -> "LogPosition":
        """Return the position in a row. A server that replays no log is at its beginning."""
        assert row is not None
        return cls(row[0], row[1] or 0, tuple(row[2:]))

    @property
    def written(self) -> int:
        """Return the end of what was written, without the header of an empty page."""
        begun = self.position % PAGE_LENGTH
        return self.position - begun if begun <= LONGEST_HEADER else self.position


class ReplicaLag:
    """The lag of a replica, measured every second while the context `measured` lasts."""

    def __init__(
        self,
        primary: PostgresReads,
        replica: PostgresReads,
        most_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.primary, self.replica, self.most_s, self.clock = primary, replica, most_s, clock
        self.began = clock()
        # The newest moment whose commits the replica has, and those that it has not reached.
        self.reached: float | None = None
        self.moments: deque[tuple[float, int]] = deque(maxlen=MOST_MOMENTS)
        # Why the replica may not be read, apart from its lag; and what was logged last.
        self.refusal: str | None = None
        self.logged: str | None = None

    @property
    def seconds(self) -> float:
        """Return the lag; before the first measurement, the time that the portal has waited."""
        return self.clock() - (self.began if self.reached is None else self.reached)

    @property
    def is_within_bound(self) -> bool:
        return self.refusal is None and self.reached is not None and self.seconds <= self.most_s

    @property
    def connector(self) -> PostgresConnector:
        return self.replica.connector

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Measure the lag regularly as long as the context lasts."""
        task = asyncio.create_task(self.measure_regularly())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def measure_regularly(self) -> None:
        while True:
            await self.measure()
            await asyncio.sleep(PROBE_EVERY_S)

    async def measure(self) -> None:
        """Ask both servers for their positions. Without the primary's answer the lag grows."""
        asked = self.clock()
        try:
            async with asyncio.timeout(PROBE_S):
                primary = LogPosition.of(await self.primary.row(PRIMARY, []))
        except Exception:
            self.log_change()
            return
        try:
            async with asyncio.timeout(PROBE_S):
                replica = LogPosition.of(await self.replica.row(REPLICA, []))
        except Exception as error:
            self.refuse(f"does not answer: {one_line_reason(error)}")
            # What runs on its connections would wait for as long as a statement may take.
            self.connector.end_all()
            return
        self.compare(asked, primary, replica)

    def compare(self, asked: float, primary: LogPosition, replica: LogPosition) -> None:
        """Set the lag from both positions, of which the primary's was asked for at a moment."""
        self.moments.append((asked, primary.written))
        self.refusal = why_unfit(primary, replica)
        if self.refusal is None:
            while self.moments and self.moments[0][1] <= replica.position:
                self.reached, _ = self.moments.popleft()
            REPLICA_LAG.observe(self.seconds)
        self.log_change()

    def refuse(self, reason: str) -> None:
        """Do without the replica until it was measured again."""
        self.refusal = reason
        self.log_change()

    def log_change(self) -> None:
        """Log in one line that reads have gone to the other server."""
        reason = self.refusal
        if reason is None and self.seconds > self.most_s:
            reason = f"is more than {self.most_s:g} s behind (REPLICA_MAX_LAG_S)"
        if reason and not self.logged:
            log.warning("dashboards read from the primary: the replica %s", reason)
        elif self.logged and reason is None:
            log.warning("dashboards read from the replica again")
        self.logged = reason

    async def close(self) -> None:
        await self.primary.close()
        await self.replica.close()


def why_unfit(primary: LogPosition, replica: LogPosition) -> str | None:
    """Return why the replica's position says nothing about the primary's data, or None."""
    if replica.copy != primary.copy:
        return "is no copy of the database of DATABASE_URL, opened by the same role"
    if not replica.position:
        return "does not replay the log of a primary"
    if replica.timeline != primary.timeline:
        return "follows the log of another primary, or has not said yet that it follows this one's"
    return None
