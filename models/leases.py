"""Rows that wait for work, and the leases under which workers take them.

Any of the serving processes takes a row and works on it while its lease lasts. Leases are written
and compared by the database's clock alone, because the clocks of the processes may differ. Who
dies leaves the row to the next worker, after the lease.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, bindparam, cast, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.database import TransientError
from models.row import Instant
from models.row import Row as Table
from models.troubles import Troubles

# How much longer than its work a lease lasts.
SPARE_S = 15.0
# How soon a run looks for rows that other processes wrote, while it works on some.
LOOK_AGAIN_S = 1.0


@dataclass(frozen=True)
class Excluded:
    """Rows that are not to be claimed now, by their key and by their group."""

    keys: Sequence[str] = ()
    groups: Sequence[str] = ()


Claim = Callable[[Excluded], Awaitable[Row[Any] | None]]
Work = Callable[[Row[Any]], Awaitable[object]]


@dataclass(frozen=True)
class Queue:
    """A table whose rows wait for work.

    `within_s`: an item that takes longer is cancelled. `at_once`: items of one run that are worked
    on at the same time. `together`: of the rows that share this column's value one is worked on at
    a time, and none for the length of a lease after one has failed. `groups`: columns of which the
    first that is not null names a row's group; of one group no more than `of_group` rows are worked
    on at the same time, so that a client whose row is locked doesn't take all places.
    """

    name: str
    table: type[Table]
    log: logging.Logger
    within_s: float = 45.0
    at_once: int = 4
    together: str = "id"
    groups: tuple[str, ...] = ()
    of_group: int = 2
    # Failures that are expected, or whose text may name somebody: told by their type alone.
    quiet: tuple[type[Exception], ...] = ()
    # What fails is logged once by its key, until it is done.
    troubles: Troubles = field(default_factory=Troubles, repr=False, compare=False)

    @property
    def lease_s(self) -> float:
        return self.within_s + SPARE_S

    async def run(
        self,
        engine: AsyncEngine,
        claim: Claim,
        work: Work,
        news: asyncio.Event | None = None,
    ) -> int:
        """Work on all rows that wait, some at a time; return how many there were.

        `claim` gives the next row under a lease, and none of those that are excluded. `news` tells
        of new rows: they are claimed at once, also while others are being worked on.
        """
        run = Run(self, claim, work, news or asyncio.Event())
        await run.all()
        await self.release(engine, run.done)
        return run.count

    async def claim(
        self,
        engine: AsyncEngine,
        but: Excluded,
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
        but: Excluded,
        *where: ColumnElement[bool],
        order: Sequence[Any],
    ) -> Row[Any] | None:
        """Lock the first row that waits and is free, and that nobody else is about to take."""
        columns = self.table.__table__.c
        first = (
            select(*columns)
            .where(is_free(self.table, conn), *where, *self.allowed(but))
            # Rows that were never tried are not held up by those that failed.
            .order_by(columns.leased_until.asc().nulls_first(), *order)
            .limit(1)
            .with_for_update(skip_locked=True, key_share=True)
        )
        return (await conn.execute(first)).first()

    def allowed(self, but: Excluded) -> list[ColumnElement[bool]]:
        """Return the conditions that leave out the rows that are excluded."""
        columns, found = self.table.__table__.c, list[ColumnElement[bool]]()
        for names, values in (((self.together,), but.keys), (self.groups, but.groups)):
            if values:
                shared = (cast(columns[name], Text) for name in names)
                found.append(func.coalesce(*shared, "").not_in(values))
        return found

    def key(self, row: Row[Any]) -> str:
        return str(row._mapping[self.together] or "")

    def group(self, row: Row[Any]) -> str:
        values = (row._mapping[name] for name in self.groups)
        return str(next((value for value in values if value is not None), ""))

    async def lease(self, conn: AsyncConnection, id_: str, **values: Any) -> Row[Any]:
        """Give a row that is locked to this worker."""
        columns = self.table.__table__.c
        until = {"leased_until": now(conn, later_s=self.lease_s), **values}
        taken = update(self.table).where(columns.id == id_).values(until)
        return (await conn.execute(taken.returning(*columns))).one()

    def failed(self, row: Row[Any], error: Exception) -> None:
        """Log an item that failed, once while it goes on failing."""
        is_new = self.troubles.is_new(self.key(row))
        quiet = not is_new or isinstance(error, (*self.quiet, TransientError))
        self.log.log(
            logging.WARNING if is_new else logging.DEBUG,
            "%s %s: %s; it is tried again",
            self.name,
            row.id,
            type(error).__name__,
            exc_info=None if quiet else error,
        )

    async def release(self, engine: AsyncEngine, leases: Sequence[Mapping[str, Any]]) -> None:
        """End the leases of rows that are done with for now.

        A row whose lease was over before may be another worker's by now: that one keeps it.
        """
        columns = self.table.__table__.c
        mine = columns.id == bindparam("row"), columns.leased_until == bindparam("until")
        if leases:
            async with engine.begin() as conn:
                # In one order, so that no two processes wait for each other.
                ordered = sorted(leases, key=lambda lease: str(lease["row"]))
                await conn.execute(
                    update(self.table).where(*mine).values(leased_until=None), ordered
                )


class Run:
    """One run through a queue. It ends when no row waits and none is being worked on."""

    def __init__(self, queue: Queue, claim: Claim, work: Work, news: asyncio.Event) -> None:
        self.queue = queue
        self.claim, self.work, self.news = claim, work, news
        self.busy: dict[asyncio.Task[None], Row[Any]] = {}
        # Keys of which one has failed, and until when they are left alone.
        self.failed: dict[str, float] = {}
        # Their leases end with the run: no row is worked on over and over in one.
        self.done: list[dict[str, Any]] = []
        self.count = 0

    async def all(self) -> None:
        try:
            while await self.fill():
                await self.wait()
        except Exception:
            # A claim that fails ends the run, and not the work that is under way.
            await asyncio.gather(*self.busy)
            raise
        finally:
            for task in self.busy:
                task.cancel()
            await asyncio.gather(*self.busy, return_exceptions=True)

    async def fill(self) -> bool:
        """Begin work on rows while there are any and places are free; return whether any is on."""
        while len(self.busy) < self.queue.at_once:
            row = await self.claim(self.excluded())
            if row is None:
                break
            self.count += 1
            task = asyncio.create_task(self.attempt(row))
            self.busy[task] = row
        return bool(self.busy)

    def excluded(self) -> Excluded:
        """Return what is not to be claimed beside the rows that are being worked on."""
        rows = self.busy.values()
        groups = Counter(self.queue.group(row) for row in rows) if self.queue.groups else {}
        full = [group for group, count in groups.items() if count >= self.queue.of_group]
        failed = {key for key, until in self.failed.items() if until > time.monotonic()}
        return Excluded(sorted(failed | {self.queue.key(row) for row in rows}), full)

    async def wait(self) -> None:
        """Wait until a row is done with, or others may be there and places are free."""
        has_place = len(self.busy) < self.queue.at_once
        heard = [asyncio.create_task(self.news.wait())] if has_place else []
        try:
            await asyncio.wait(
                [*self.busy, *heard],
                timeout=LOOK_AGAIN_S if has_place else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for task in heard:
                task.cancel()
        if has_place:
            self.news.clear()
        self.busy = {task: row for task, row in self.busy.items() if not task.done()}

    async def attempt(self, row: Row[Any]) -> None:
        """Do the work. If that fails, the row waits until its lease is over."""
        try:
            async with asyncio.timeout(self.queue.within_s):
                await self.work(row)
            self.done.append({"row": row.id, "until": row.leased_until})
            self.queue.troubles.end(self.queue.key(row))
        except Exception as error:
            self.failed[self.queue.key(row)] = time.monotonic() + self.queue.lease_s
            self.queue.failed(row, error)


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
