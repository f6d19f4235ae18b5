"""Queues of rows that wait for work, and the leases of workers.

Any of the serving processes takes a row and works on it while its lease lasts. Leases are written
and compared by the database's clock alone, because the clocks of the processes may differ. If a
worker dies, its row goes to the next worker after the lease.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, and_, bindparam, cast, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.database import TransientError
from models.lasting_errors import LastingErrors
from models.row import Instant
from models.row import Row as Table
from models.tracing import span

# The time that a lease exceeds its work.
SPARE_S = 15.0
# The interval in which a busy run looks for rows that other processes wrote.
LOOK_AGAIN_S = 1.0
# The pause before a row with a transient error is free again. It doubles each time, up to the
# length of a lease.
AGAIN_AFTER_S = 2.0


@dataclass(frozen=True)
class Excluded:
    """Rows that must not be claimed now, by their key and by their group."""

    keys: Sequence[str] = ()
    groups: Sequence[str] = ()


@dataclass(frozen=True)
class Lease:
    """A row that a worker holds. `before` has the other values that the claim changed."""

    row: Row[Any]
    before: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Unreturned:
    """A lease to return. The row is left alone for `pause_s`; the lease ends by `ends_at`."""

    lease: Lease
    pause_s: float
    ends_at: float


Claim = Callable[[Excluded], Awaitable[Lease | None]]
Work = Callable[[Row[Any]], Awaitable[object]]


@dataclass(frozen=True)
class Queue:
    """A table of rows that wait for work.

    `within_s` is the timeout of an item. `at_once` is the number of items that a run works on
    concurrently. `together` is a column: of the rows with the same value only one is worked on at a
    time, and none for the length of a lease after a failure. `groups` are columns; the first one
    that is not null names a row's group. At most `of_group` rows of a group are worked on
    concurrently, so that a client with a locked row can't occupy all workers.

    A row that fails stays leased. The lease of a row that met a transient error is returned: after
    a pause the row is free again, as if it had not been claimed.
    """

    name: str
    table: type[Table]
    log: logging.Logger
    within_s: float = 45.0
    at_once: int = 4
    together: str = "id"
    groups: tuple[str, ...] = ()
    of_group: int = 2
    # Expected failures, or failures with personal data in their text: only their type is logged.
    quiet: tuple[type[Exception], ...] = ()
    # A failing item is logged once by its key, until it succeeds.
    troubles: LastingErrors = field(default_factory=LastingErrors, repr=False, compare=False)
    # Leases stay here, across runs, until the database accepts their return.
    unreturned: list[Unreturned] = field(default_factory=list, repr=False, compare=False)

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
        """Work on all waiting rows, some of them concurrently. Return their number.

        `claim` returns the next row under a lease, except excluded rows. `news` signals new rows:
        they are claimed at once, even while others are being worked on.
        """
        run = Run(self, engine, claim, work, news or asyncio.Event())
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
    ) -> Lease | None:
        """Lease the first row that waits and is free, and change these values."""
        async with engine.begin() as conn:
            row = await self.first(conn, but, *where, order=order)
            return await self.lease(conn, row, **values) if row else None

    async def first(
        self,
        conn: AsyncConnection,
        but: Excluded,
        *where: ColumnElement[bool],
        order: Sequence[Any],
    ) -> Row[Any] | None:
        """Lock the first row that waits, is free, and is not locked by another worker."""
        columns = self.table.__table__.c
        first = (
            select(*columns)
            .where(is_free(self.table, conn), *where, *self.allowed(but))
            # Rows that were never tried come before those that failed.
            .order_by(columns.leased_until.asc().nulls_first(), *order)
            .limit(1)
            .with_for_update(skip_locked=True, key_share=True)
        )
        return (await conn.execute(first)).first()

    def allowed(self, but: Excluded) -> list[ColumnElement[bool]]:
        """Return the conditions that leave out the excluded rows."""
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

    async def lease(self, conn: AsyncConnection, row: Row[Any], **values: Any) -> Lease:
        """Lease a locked row to this worker."""
        columns = self.table.__table__.c
        until = {"leased_until": now(conn, later_s=self.lease_s), **values}
        taken = update(self.table).where(columns.id == row.id).values(until)
        leased = (await conn.execute(taken.returning(*columns))).one()
        return Lease(leased, {name: row._mapping[name] for name in values})

    def failed(self, lease: Lease, error: Exception) -> float:
        """Return the time for which a failed row is left alone. Log it once while it
        keeps failing.
        """
        row = lease.row
        times = self.troubles.meet(self.key(row))
        self.log_failure(row, error, is_new=times == 1)
        if not isinstance(error, TransientError):
            return self.lease_s
        pause_s = min(AGAIN_AFTER_S * 2.0 ** min(times - 1, 20), self.lease_s)
        self.unreturned.append(Unreturned(lease, pause_s, time.monotonic() + self.lease_s))
        return pause_s

    def log_failure(self, row: Row[Any], error: Exception, *, is_new: bool) -> None:
        quiet = not is_new or isinstance(error, (*self.quiet, TransientError))
        self.log.log(
            logging.WARNING if is_new else logging.DEBUG,
            "%s %s: %s; it is tried again",
            self.name,
            row.id,
            type(error).__name__,
            exc_info=None if quiet else error,
        )

    async def give_back(self, engine: AsyncEngine) -> None:
        """Return the leases of rows that met a transient error, with the values from before the
        claim.

        A row that is locked is left for the next time, so that nothing waits for it.
        """
        if not self.unreturned:
            return
        async with engine.begin() as conn:
            given = [lease for lease in self.unreturned if await self.is_given_back(conn, lease)]
        over = [lease for lease in self.unreturned if lease.ends_at < time.monotonic()]
        self.unreturned[:] = [lease for lease in self.unreturned if lease not in given + over]

    async def is_given_back(self, conn: AsyncConnection, lease: Unreturned) -> bool:
        """Return a row's lease, unless it is locked or another worker's. Return whether that was
        done.
        """
        row = lease.lease.row
        columns, condition = self.table.__table__.c, self.has(row.id, row.leased_until)
        locked = (
            select(columns.id).where(condition).with_for_update(skip_locked=True, key_share=True)
        )
        if await conn.scalar(locked) is None:
            return False
        free = {"leased_until": now(conn, later_s=lease.pause_s), **lease.lease.before}
        await conn.execute(update(self.table).where(condition).values(free))
        return True

    def has(self, id_: Any, until: Any) -> ColumnElement[bool]:
        """Return the condition that a row still has a lease of this worker."""
        columns = self.table.__table__.c
        return and_(columns.id == id_, columns.leased_until == until)

    async def release(self, engine: AsyncEngine, leases: Sequence[Mapping[str, Any]]) -> None:
        """End the leases of rows that are done for now.

        A row with an expired lease may belong to another worker by now, which keeps it.
        """
        condition = self.has(bindparam("row"), bindparam("until"))
        if leases:
            async with engine.begin() as conn:
                # The order is fixed, so that no two processes wait for each other.
                ordered = sorted(leases, key=lambda lease: str(lease["row"]))
                await conn.execute(
                    update(self.table).where(condition).values(leased_until=None), ordered
                )


class Run:
    """One run through a queue. It ends when no row waits and none is being worked on."""

    def __init__(
        self, queue: Queue, engine: AsyncEngine, claim: Claim, work: Work, news: asyncio.Event
    ) -> None:
        self.queue, self.engine = queue, engine
        self.claim, self.work, self.news = claim, work, news
        self.busy: dict[asyncio.Task[None], Row[Any]] = {}
        # The keys that have failed, and the time until which they are left alone.
        self.failed: dict[str, float] = {}
        # Their leases end with the run, so that a run works on no row twice.
        self.done: list[dict[str, Any]] = []
        self.count = 0

    async def all(self) -> None:
        try:
            while await self.fill():
                await self.wait()
        except Exception:
            # A failed claim ends the run, but not the work under way.
            await asyncio.gather(*self.busy)
            raise
        finally:
            for task in self.busy:
                task.cancel()
            await asyncio.gather(*self.busy, return_exceptions=True)

    async def fill(self) -> bool:
        """Start work on rows while there are any and workers are free. Return whether any work
        runs.
        """
        await self.queue.give_back(self.engine)
        while len(self.busy) < self.queue.at_once:
            lease = await self.claim(self.excluded())
            if lease is None:
                break
            self.count += 1
            task = asyncio.create_task(self.attempt(lease))
            self.busy[task] = lease.row
        return bool(self.busy)

    def excluded(self) -> Excluded:
        """Return the rows to leave out of the next claim."""
        rows = self.busy.values()
        groups = Counter(self.queue.group(row) for row in rows) if self.queue.groups else {}
        full = [group for group, count in groups.items() if count >= self.queue.of_group]
        failed = {key for key, until in self.failed.items() if until > time.monotonic()}
        return Excluded(sorted(failed | {self.queue.key(row) for row in rows}), full)

    async def wait(self) -> None:
        """Wait until a row is done, or until there may be new rows and a worker is free."""
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

    async def attempt(self, lease: Lease) -> None:
        """Do the work. A row that fails is left alone for a while."""
        row = lease.row
        try:
            with span(f"job {self.queue.name}"):
                async with asyncio.timeout(self.queue.within_s):
                    await self.work(row)
            self.done.append({"row": row.id, "until": row.leased_until})
            self.queue.troubles.end(self.queue.key(row))
        except Exception as error:
            pause_s = self.queue.failed(lease, error)
            self.failed[self.queue.key(row)] = time.monotonic() + pause_s


def first_to_raise(errors: Sequence[Exception]) -> Exception:
    """Return the one of several errors that ends a task: a transient one, if there is one, since
    the task is then repeated soon.
    """
    return min(errors, key=lambda error: not isinstance(error, TransientError))


def is_free(table: type[Table], conn: AsyncConnection) -> ColumnElement[bool]:
    """Return whether no worker has leased the row."""
    until = table.__table__.c.leased_until
    return or_(until.is_(None), until <= now(conn))


def now(conn: AsyncConnection, *, later_s: float = 0) -> ColumnElement[Any]:
    """Return the database's time, or a time some seconds later."""
    if conn.dialect.name == "sqlite":
        # SQLAlchemy writes times with six digits after the second.
        shift = f"{later_s:+.3f} seconds"
        return func.strftime("%Y-%m-%d %H:%M:%f000", "now", shift, type_=Instant())
    seconds = func.make_interval(0, 0, 0, 0, 0, 0, later_s)
    moment: ColumnElement[Any] = func.statement_timestamp(type_=Instant()) + seconds
    return moment
