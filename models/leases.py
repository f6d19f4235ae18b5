"""Rows that wait for work, and the leases under which workers take them.

Any of the serving processes takes a row and works on it while its lease lasts. Leases are written
and compared by the database's clock alone, because the clocks of the processes may differ. Who
dies leaves the row to the next worker, after the lease.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, cast, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.row import Instant
from models.row import Row as Table

# How much longer than its work a lease lasts.
SPARE_S = 15.0


@dataclass(frozen=True)
class Queue:
    """A table whose rows wait for work.

    `within_s`: an item that takes longer is cancelled. `at_once`: items of one run that are worked
    on at the same time. `together`: of the rows that share this column's value one is worked on at
    a time, and none any more in this run after one has failed.
    """

    name: str
    table: type[Table]
    log: logging.Logger
    within_s: float = 45.0
    at_once: int = 4
    together: str = "id"
    # Failures that are expected, or whose text may name somebody: told by their type alone.
    quiet: tuple[type[Exception], ...] = ()

    @property
    def lease_s(self) -> float:
        return self.within_s + SPARE_S

    async def run(
        self,
        engine: AsyncEngine,
        claim: Callable[[Sequence[str]], Awaitable[Row[Any] | None]],
        work: Callable[[Row[Any]], Awaitable[object]],
    ) -> int:
        """Work on all rows that wait, some at a time; return how many there were.

        `claim` gives the next row under a lease, unless it shares its key with one of those given.
        """
        run = Run(self, claim, work)
        workers = [asyncio.create_task(run.worker()) for _ in range(self.at_once)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        await self.release(engine, run.done)
        return run.count

    async def claim(
        self,
        engine: AsyncEngine,
        but: Sequence[str],
        *where: ColumnElement[bool],
        order: Sequence[Any],
        **values: Any,
    ) -> Row[Any] | None:
        """Take the first row that waits and is free, under a lease."""
        async with engine.begin() as conn:
            row = await self.first(conn, but, *where, order=order)
            return await self.lease(conn, row.id, **values) if row else None

    async def first(
        self,
        conn: AsyncConnection,
        but: Sequence[str],
        *where: ColumnElement[bool],
        order: Sequence[Any],
    ) -> Row[Any] | None:
        """Lock the first row that waits and is free, and that nobody else is about to take."""
        columns = self.table.__table__.c
        key = func.coalesce(cast(columns[self.together], Text), "")
        first = (
            select(*columns)
            .where(is_free(self.table, conn), *where, *([key.not_in(but)] if but else []))
            # Rows that were never tried are not held up by those that failed.
            .order_by(columns.leased_until.asc().nulls_first(), *order)
            .limit(1)
            .with_for_update(skip_locked=True, key_share=True)
        )
        return (await conn.execute(first)).first()

    async def lease(self, conn: AsyncConnection, id_: str, **values: Any) -> Row[Any]:
        """Give a row that is locked to this worker."""
        columns = self.table.__table__.c
        until = {"leased_until": now(conn, later_s=self.lease_s), **values}
        taken = update(self.table).where(columns.id == id_).values(until)
        return (await conn.execute(taken.returning(*columns))).one()

    async def release(self, engine: AsyncEngine, ids: Sequence[str]) -> None:
        """End the leases of rows that are done with for now."""
        columns = self.table.__table__.c
        if ids:
            async with engine.begin() as conn:
                free = update(self.table).where(columns.id.in_(ids))
                await conn.execute(free.values(leased_until=None))


class Run:
    """One run through a queue, by a few workers."""

    def __init__(
        self,
        queue: Queue,
        claim: Callable[[Sequence[str]], Awaitable[Row[Any] | None]],
        work: Callable[[Row[Any]], Awaitable[object]],
    ) -> None:
        self.queue, self.claim, self.work = queue, claim, work
        # Keys that somebody is at, or that have failed.
        self.taken: set[str] = set()
        self.done: list[str] = []
        self.count = 0
        # Workers claim one after another, so that no two take rows of one key.
        self.turn = asyncio.Lock()

    async def worker(self) -> None:
        while (row := await self.next()) is not None:
            if await self.succeeds(row):
                self.taken.discard(self.key(row))

    async def next(self) -> Row[Any] | None:
        async with self.turn:
            row = await self.claim(sorted(self.taken))
            if row is not None:
                self.count += 1
                self.taken.add(self.key(row))
            return row

    def key(self, row: Row[Any]) -> str:
        return str(row._mapping[self.queue.together] or "")

    async def succeeds(self, row: Row[Any]) -> bool:
        """Whether the work was done. If not, the row waits until its lease is over."""
        try:
            async with asyncio.timeout(self.queue.within_s):
                await self.work(row)
        except Exception as error:
            quiet = isinstance(error, self.queue.quiet)
            self.queue.log.warning(
                "%s %s: %s; it is tried again",
                self.queue.name,
                row.id,
                type(error).__name__,
                exc_info=None if quiet else error,
            )
            return False
        self.done.append(row.id)
        return True


def is_free(table: type[Table], conn: AsyncConnection) -> ColumnElement[bool]:
    """Whether no worker has the row."""
    until = table.__table__.c.leased_until
    return or_(until.is_(None), until <= now(conn))


def now(conn: AsyncConnection, *, later_s: float = 0) -> ColumnElement[Any]:
    """Return the database's time, or a moment later than that."""
    if conn.dialect.name == "sqlite":
        # As SQLAlchemy writes moments: with six digits after the second.
        shift = f"{later_s:+.3f} seconds"
        return func.strftime("%Y-%m-%d %H:%M:%f000", "now", shift, type_=Instant())
    seconds = func.make_interval(0, 0, 0, 0, 0, 0, later_s)
    moment: ColumnElement[Any] = func.statement_timestamp(type_=Instant()) + seconds
    return moment
