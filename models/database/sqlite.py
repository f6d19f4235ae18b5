"""Planned reads on SQLite: one connection in a thread of its own."""

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects import sqlite

from models.database.errors import StatementTimeout, StatementTooDeep, transient
from models.database.waits import BUSY_TIMEOUT_MS, PREPARED_A_CONNECTION, Statement

# SQLite asks the progress handler after so many steps of its virtual machine.
STEPS_BETWEEN_LOOKS = 10_000
# How SQLite says so; its releases before 3.46 keep no more than a hundred open constructs.
TOO_DEEP = ("parser stack overflow", "Expression tree is too large")


class SqliteReads:
    """One connection in a thread of its own, so that no statement holds the event loop."""

    dialect: Dialect = sqlite.dialect()

    def __init__(self, path: str, timeout_s: float) -> None:
        self.path, self.timeout_s = path, timeout_s
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-reads")
        self.connection: sqlite3.Connection | None = None
        self.deadline = 0.0

    async def row(self, sql: str, values: Sequence[Any]) -> Sequence[Any] | None:
        """The first row of the statement, if there is one."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, self.fetch, sql, values)

    async def value(self, sql: str, values: Sequence[Any]) -> Any:
        row = await self.row(sql, values)
        return row[0] if row else None

    async def beside(self, first: Statement, second: Statement) -> Sequence[Any] | None:
        """The first row of a statement, if there is one, and then the value of another."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, self.fetch_beside, first, second)

    def fetch_beside(self, first: Statement, second: Statement) -> Sequence[Any] | None:
        row = self.fetch(*first)
        return row and (*row, *(self.fetch(*second) or (None,)))

    def fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Any] | None:
        self.deadline = time.monotonic() + self.timeout_s
        try:
            if self.connection is None:
                self.connection = self.opened()
            row: Sequence[Any] | None = self.connection.execute(sql, values).fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise StatementTimeout from None
            if str(error).startswith(TOO_DEEP):
                raise StatementTooDeep from None
            if (found := transient(error)) is not None:
                raise found from error
            raise
        return row

    def opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, cached_statements=PREPARED_A_CONNECTION)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only=ON")
        connection.create_function("sha256", 1, sha256, deterministic=True)
        connection.set_progress_handler(self.is_late, STEPS_BETWEEN_LOOKS)
        return connection

    def is_late(self) -> bool:
        return time.monotonic() > self.deadline

    async def close(self) -> None:
        if self.connection is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self.thread, self.connection.close)
            self.connection = None
        self.thread.shutdown()


def sha256(text: str) -> str:
    """SQLite's missing function: a text's digest, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
