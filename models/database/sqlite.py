"""Planned reads on SQLite: a few connections, each used by one thread at a time."""

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects import sqlite

from models.database.admission import NO_PRACTICE, Budgets, Caller, Lane
from models.database.error_redaction import conceal
from models.database.errors import StatementTimeout, StatementTooDeep, transient
from models.database.timeouts import BUSY_TIMEOUT_MS, PREPARED_A_CONNECTION, Statement, run_to_end

# SQLite asks the progress handler after so many steps of its virtual machine.
STEPS_BETWEEN_LOOKS = 10_000
# How SQLite says so; its releases before 3.46 keep no more than a hundred open constructs.
TOO_DEEP = ("parser stack overflow", "Expression tree is too large")

Row = Sequence[Any] | None


class Reader:
    """A connection that reads; a statement ends when its time is over or it is stopped."""

    def __init__(self, path: str, timeout_s: float) -> None:
        self.path, self.timeout_s = path, timeout_s
        self.connection: sqlite3.Connection | None = None
        self.deadline = 0.0

    def start(self) -> None:
        """Begin the time of a statement."""
        self.deadline = time.monotonic() + self.timeout_s

    def stop(self) -> None:
        """End the statement that runs, from whatever thread."""
        self.deadline = 0.0

    def is_over(self) -> bool:
        return time.monotonic() > self.deadline

    def fetch_beside(self, first: Statement, second: Statement) -> Row:
        """Return a row with the value of another statement, both of one snapshot."""
        self.fetch("BEGIN", ())
        try:
            row = self.fetch(*first)
            return row and (*row, *(self.fetch(*second) or (None,)))
        finally:
            assert self.connection is not None
            self.connection.rollback()

    def fetch(self, sql: str, values: Sequence[Any]) -> Row:
        try:
            if self.connection is None:
                self.connection = self.opened()
            row: Row = self.connection.execute(sql, values).fetchone()
        except Exception as error:
            conceal(error, of_statement=True)
            if (found := sqlite_error(error)) is not None:
                raise found from error
            raise
        return row

    def opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, cached_statements=PREPARED_A_CONNECTION, check_same_thread=False
        )
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only=ON")
        connection.create_function("sha256", 1, sha256_hex, deterministic=True)
        connection.set_progress_handler(self.is_over, STEPS_BETWEEN_LOOKS)
        return connection

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class SqliteReads:
    """Connections in threads, so that no statement holds the event loop."""

    dialect: Dialect = sqlite.dialect()

    def __init__(self, path: str, timeout_s: float, lane: Lane) -> None:
        self.path, self.timeout_s, self.lane = path, timeout_s, lane
        self.threads = ThreadPoolExecutor(lane.free, thread_name_prefix="sqlite-reads")
        # The one that was used last comes first: it has the statements and pages at hand.
        self.idle: list[Reader] = []

    @property
    def budgets(self) -> Budgets:
        return self.lane.budgets

    async def row(self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE) -> Row:
        """Return the first row of the statement, if there is one."""
        return await self.run(caller, Reader.fetch, sql, values)

    async def value(self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE) -> Any:
        row = await self.row(sql, values, caller)
        return row[0] if row else None

    async def row_and_value(
        self, first: Statement, second: Statement, caller: Caller = NO_PRACTICE
    ) -> Row:
        """Return the first row of a statement, if there is one, and then the value of another."""
        return await self.run(caller, Reader.fetch_beside, first, second)

    async def run(self, caller: Caller, work: Callable[..., Row], *given: Any) -> Row:
        """Return what a connection reads; where nobody waits for it any more, stop it."""
        async with self.lane.place(caller):
            reader = self.idle.pop() if self.idle else Reader(self.path, self.timeout_s)
            reader.start()
            running = self.threads.submit(work, reader, *given)
            try:
                return await asyncio.wrap_future(running)
            except asyncio.CancelledError:
                reader.stop()
                await run_to_end(wait_ended(running))
                raise
            finally:
                self.idle.append(reader)

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        while self.idle:
            await loop.run_in_executor(self.threads, self.idle.pop().close)
        self.threads.shutdown()


def sqlite_error(error: Exception) -> Exception | None:
    """Return the error that callers know for one of the library's; None where it is a defect."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        return StatementTimeout()
    if str(error).startswith(TOO_DEEP):
        return StatementTooDeep()
    return transient(error)


async def wait_ended(running: Future[Any]) -> None:
    """Wait until the thread is done with it, whatever it ended in."""
    with suppress(Exception):
        await asyncio.wrap_future(running)


def sha256_hex(text: str) -> str:
    """SQLite's missing function: a text's digest, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
