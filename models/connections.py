"""How the rows are reached: an engine for what writes, and connections for planned reads.

Planned reads are one statement each whose only value is text, so they go to the driver itself:
SQLAlchemy compiles them and does not run them.
"""

import asyncio
import datetime as dt
import hashlib
import re
import sqlite3
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import asyncpg
from sqlalchemy import URL, Dialect, event, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg as postgresql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

BUSY_TIMEOUT_MS = 10_000
PREPARED_A_CONNECTION = 100
# SQLite asks the progress handler after so many steps of its virtual machine.
STEPS_BETWEEN_LOOKS = 10_000
PARAMETER = re.compile(r"\$(\d+)")
SQLITE_PRAGMAS = ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL")


# A statement and its parameters.
Statement = tuple[str, Sequence[Any]]


class StatementTimeout(Exception):
    """The database took longer than a statement may."""


class StatementTooDeep(Exception):
    """A statement is nested more deeply than the database can read."""


# How SQLite says so; its releases before 3.46 keep no more than a hundred open constructs.
TOO_DEEP = ("parser stack overflow", "Expression tree is too large")


def engine(url: str) -> AsyncEngine:
    """The SQLAlchemy engine for `sqlite:///file` or `postgresql://…`: writes, migrations, tests.

    What goes wrong in it is told without a statement's values: names and addresses are among them.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_async_engine(
            parsed.set(drivername="postgresql+asyncpg"), hide_parameters=True
        )
    made = create_async_engine(parsed.set(drivername="sqlite+aiosqlite"), hide_parameters=True)
    event.listen(made.sync_engine, "connect", set_up_sqlite)
    event.listen(made.sync_engine, "begin", begin_immediate)
    event.listen(made.sync_engine, "invalidate", roll_back)
    return made


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncEngine]:
    """Give an engine, and close its connections in the end, whatever that is."""
    made = engine(url)
    try:
        yield made
    finally:
        await made.dispose()


def set_up_sqlite(connection: Any, _: Any) -> None:
    # The driver's own BEGIN would be a deferred one.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    for pragma in SQLITE_PRAGMAS:
        patiently(cursor, f"PRAGMA {pragma}")
    cursor.close()
    connection.create_function("sha256", 1, sha256, deterministic=True)


def sha256(text: str) -> str:
    """SQLite's missing function: a text's digest, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def patiently(cursor: Any, statement: str) -> None:
    """Runs it again while another connection is in the way.

    A file's first change to WAL asks for the lock once, whatever the busy timeout.
    """
    until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


def begin_immediate(connection: Any) -> None:
    """One writer at a time, from its start: a deferred one that turns writer loses to BUSY."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def roll_back(connection: Any, *_: Any) -> None:
    """Before a connection is thrown away, as it is when its task is cancelled amid a transaction.

    Closing doesn't end the transaction while a cursor is about, and a traceback may hold one: the
    file would be locked until both are collected.
    """
    connection.rollback()


# -- planned reads ---------------------------------------------------------------------------------


def reads(url: str, *, size: int = 10, timeout_s: float = 10) -> "SqliteReads | PostgresReads":
    """Connections for planned reads, opened when they are first needed."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return PostgresReads(parsed, size, timeout_s)
    return SqliteReads(parsed.database or "", timeout_s)


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
        if self.connection is None:
            self.connection = self.opened()
        self.deadline = time.monotonic() + self.timeout_s
        try:
            row: Sequence[Any] | None = self.connection.execute(sql, values).fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise StatementTimeout from None
            if str(error).startswith(TOO_DEEP):
                raise StatementTooDeep from None
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


class Prepared:
    """A connection and the statements prepared on it, the least recently used forgotten first.

    asyncpg's own cache leaves out statements of over 15 kB, and ours are often longer.
    """

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection
        self.statements: OrderedDict[str, Any] = OrderedDict()
        self.prepared = 0

    async def row(self, sql: str, values: Sequence[Any]) -> Sequence[Any] | None:
        statement = self.statements.get(sql)
        if statement is None:
            # Without a name, and without asyncpg's cache, each run would parse and plan it again.
            self.prepared += 1
            statement = await self.connection.prepare(sql, name=f"read_{self.prepared}")
            self.statements[sql] = statement
            if len(self.statements) > PREPARED_A_CONNECTION:
                self.statements.popitem(last=False)
        self.statements.move_to_end(sql)
        row = await statement.fetchrow(*values)
        return tuple(row) if row is not None else None


@lru_cache(2 * PREPARED_A_CONNECTION)
def joined(first: str, second: str, taken: int) -> str:
    """The row of one statement with the value of another, which takes so many parameters; it is
    run only where there is a row."""
    moved = PARAMETER.sub(lambda found: f"${int(found[1]) + taken}", first)
    return f"SELECT first.*, ({second}) FROM ({moved}) AS first"  # noqa: S608 - both are compiled


class PostgresReads:
    """A few connections, each with its prepared statements.

    Not asyncpg's pool: what is prepared there ends when a connection is given back, and giving it
    back is a round trip of its own.
    """

    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

    def __init__(self, url: URL, size: int, timeout_s: float) -> None:
        self.dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.timeout_s = timeout_s
        self.idle: list[Prepared] = []
        self.places = asyncio.Semaphore(size)

    async def row(self, sql: str, values: Sequence[Any]) -> Sequence[Any] | None:
        """The first row of the statement, if there is one."""
        async with self.places:
            connection = await self.taken()
            try:
                return await connection.row(sql, values)
            except asyncio.CancelledError:
                # The statement may still be running: nobody else can use this connection.
                connection.connection.terminate()
                raise
            except asyncpg.QueryCanceledError:
                raise StatementTimeout from None
            except asyncpg.StatementTooComplexError:
                raise StatementTooDeep from None
            finally:
                if not connection.connection.is_closed():
                    self.idle.append(connection)

    async def value(self, sql: str, values: Sequence[Any]) -> Any:
        row = await self.row(sql, values)
        return row[0] if row else None

    async def beside(self, first: Statement, second: Statement) -> Sequence[Any] | None:
        """The first row of a statement, if there is one, and then the value of another: both in
        one statement."""
        sql = joined(first[0], second[0], len(second[1]))
        return await self.row(sql, [*second[1], *first[1]])

    async def taken(self) -> Prepared:
        """A connection that nobody else uses until it is idle again."""
        connection = self.idle.pop() if self.idle else await self.opened()
        return await self.opened() if connection.connection.is_closed() else connection

    async def opened(self) -> Prepared:
        settings = {
            "statement_timeout": str(int(self.timeout_s * 1000)),
            "default_transaction_read_only": "on",
            "DateStyle": "ISO",
            "TimeZone": "UTC",
            # Compiling machine code for a statement takes longer than running it once.
            "jit": "off",
        }
        connection = await asyncpg.connect(
            self.dsn, server_settings=settings, statement_cache_size=0
        )
        # asyncpg's own takes the last day of Python's calendar for infinity.
        await connection.set_type_codec(
            "date", schema="pg_catalog", encoder=str, decoder=dt.date.fromisoformat
        )
        return Prepared(connection)

    async def close(self) -> None:
        while self.idle:
            await self.idle.pop().connection.close()
