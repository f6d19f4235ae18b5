"""Steps of a revision that would hold a table's lock for too long in its transaction.

A revision names its steps in `STEPS`. They run after its transaction, while the portal serves: each
is short or takes no lock that a read waits for. Each does only what is left to do, so an
interrupted migration is continued by the next one. The next revision begins when all are done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.database import DatabaseBusy

# The time that a statement waits for a table's lock. Reads of the table wait behind it, and give up
# after models.database.timeouts.READ_LOCK_S.
LOCK_MS = 200
# How often a statement is tried, and the pause after which it is tried again.
TRIES, PAUSE_S = 100, 1.0
BATCH = 2_000
T = TypeVar("T")


class MigrationBlocked(Exception):
    """Another transaction holds a lock that a migration needs. The text says so to the operator."""


class Step(Protocol):
    """A step of a revision."""

    async def run(self, engine: AsyncEngine) -> None: ...


@dataclass(frozen=True)
class Backfill:
    """Values for a column in the rows that have none, in batches, each in its own transaction.

    `values` and `condition` are SQL: `{"folded": "lower(name)"}`, `"folded IS NULL"`. Rows that the
    new release writes meanwhile have their values already. The old release has to go on working: so
    the column is nullable until the next revision.
    """

    table: str
    values: dict[str, str]
    condition: str
    key: Sequence[str] = ("practice_id", "id")
    size: int = BATCH

    async def run(self, engine: AsyncEngine) -> None:
        last: tuple[Any, ...] | None = None
        loop = asyncio.get_running_loop()
        while (upper := await self.end_of_batch(engine, last)) is not None:
            began = loop.time()
            await repeat_while_locked(partial(self.fill, engine, last, upper))
            last = upper
            # Half of the time is left to the disk and to others.
            await asyncio.sleep(loop.time() - began)

    async def end_of_batch(
        self, engine: AsyncEngine, last: tuple[Any, ...] | None
    ) -> tuple[Any, ...] | None:
        """Return the key of the last row of the next batch, or None after the last batch."""
        columns, after = ", ".join(self.key), f"WHERE {self.range('>', 'low')}" if last else ""
        # A revision of ours wrote each part of the statements here.
        following = (
            f"SELECT {columns} FROM {self.table} {after} ORDER BY {columns} LIMIT {self.size}"  # noqa: S608
        )
        descending = ", ".join(f"{column} DESC" for column in self.key)
        statement = f"SELECT {columns} FROM ({following}) batch ORDER BY {descending} LIMIT 1"  # noqa: S608
        async with engine.connect() as conn:
            found = await conn.execute(text(statement), named("low", last))
            row = found.first()
            return tuple(row) if row else None

    async def fill(
        self, engine: AsyncEngine, low: tuple[Any, ...] | None, high: tuple[Any, ...]
    ) -> None:
        """Fill the rows of a batch."""
        values = ", ".join(f"{column} = {value}" for column, value in self.values.items())
        after = f"{self.range('>', 'low')} AND " if low else ""
        where = f"{after}{self.range('<=', 'high')} AND ({self.condition})"
        async with engine.begin() as conn:
            await limit_lock_wait(conn)
            await conn.execute(
                text(f"UPDATE {self.table} SET {values} WHERE {where}"),  # noqa: S608
                named("low", low) | named("high", high),
            )

    def range(self, operator: str, prefix: str) -> str:
        """Return the comparison of the key with named parameters."""
        names = ", ".join(f":{prefix}{place}" for place in range(len(self.key)))
        return f"({', '.join(self.key)}) {operator} ({names})"


@dataclass(frozen=True)
class ConcurrentIndex:
    """An index that is made while rows are written. An unfinished one is made anew."""

    name: str
    table: str
    columns: str
    is_unique: bool = False
    condition: str | None = None

    async def run(self, engine: AsyncEngine) -> None:
        is_postgresql = engine.dialect.name == "postgresql"
        where = f" WHERE {self.condition}" if self.condition else ""
        kind = "UNIQUE INDEX" if self.is_unique else "INDEX"
        way = " CONCURRENTLY" if is_postgresql else ""
        statement = (
            f"CREATE {kind}{way} IF NOT EXISTS {self.name} ON {self.table} ({self.columns}){where}"
        )
        async with engine.connect() as conn:
            if is_postgresql:
                conn = await conn.execution_options(isolation_level="AUTOCOMMIT")
                # It waits for transactions, and nobody waits for it.
                await conn.execute(text("SET lock_timeout = 0"))
                if await conn.scalar(text(UNFINISHED), {"name": self.name}):
                    await conn.execute(text(f"DROP INDEX CONCURRENTLY {self.name}"))
            await conn.execute(text(statement))
            await conn.commit()
            # The connection had settings of its own.
            await conn.invalidate()


@dataclass(frozen=True)
class Validation:
    """The check of all rows by a constraint that was added as NOT VALID, while they are written.

    SQLite checks a constraint when it is added.
    """

    table: str
    constraint: str

    async def run(self, engine: AsyncEngine) -> None:
        if engine.dialect.name == "postgresql":
            await repeat_while_locked(lambda: self.validate(engine))

    async def validate(self, engine: AsyncEngine) -> None:
        async with engine.begin() as conn:
            await limit_lock_wait(conn)
            await conn.execute(
                text(f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {self.constraint}")
            )


UNFINISHED = """SELECT 1 FROM pg_index JOIN pg_class ON pg_class.oid = pg_index.indexrelid
  WHERE pg_class.relname = :name AND NOT pg_index.indisvalid"""


def named(prefix: str, key: Sequence[Any] | None) -> dict[str, Any]:
    return {f"{prefix}{place}": value for place, value in enumerate(key or ())}


async def limit_lock_wait(conn: AsyncConnection) -> None:
    """Have this transaction's statements give up waiting for a table before reads do."""
    if conn.dialect.name == "postgresql":
        await conn.execute(text(f"SET LOCAL lock_timeout = {LOCK_MS}"))


async def repeat_while_locked(change: Callable[[], Awaitable[T]]) -> T:
    """Make a change, and try again while another transaction holds a lock that it needs.

    Between two tries, the reads that waited behind it run. Raise MigrationBlocked in the end.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return await change()
        except DatabaseBusy as error:
            if attempt == TRIES:
                raise MigrationBlocked(
                    "Another transaction holds a table that the migration needs. What was done is"
                    " kept: end the transaction, and run `portal migrate` again."
                ) from error
            await asyncio.sleep(PAUSE_S)
    raise AssertionError("the last try returns or raises")
