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
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import asyncpg
from sqlalchemy import URL, Dialect, ExceptionContext, event, exc, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg as postgresql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection

BUSY_TIMEOUT_MS = 10_000
PREPARED_A_CONNECTION = 100
# How much later than the database this side gives a read up.
GRACE_S = 5.0
# SQLite asks the progress handler after so many steps of its virtual machine.
STEPS_BETWEEN_LOOKS = 10_000
PARAMETER = re.compile(r"\$(\d+)")
SQLITE_PRAGMAS = ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL")


# A statement and its parameters.
Statement = tuple[str, Sequence[Any]]


class StatementTimeout(Exception):
    """The database took longer than a statement may."""


class DatabaseBusy(Exception):
    """A lock, a connection or an answer of the database that was not had in time.

    The transaction is rolled back, and the same may be tried again.
    """


class StatementTooDeep(Exception):
    """A statement is nested more deeply than the database can read."""


SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# lock_not_available, query_canceled, deadlock_detected, serialization_failure, and
# idle_in_transaction_session_timeout.
POSTGRES_BUSY = ("55P03", "57014", "40P01", "40001", "25P03")
# How SQLite says so; its releases before 3.46 keep no more than a hundred open constructs.
TOO_DEEP = ("parser stack overflow", "Expression tree is too large")


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


def engine(url: str, waits: Waits = PATIENT) -> AsyncEngine:
    """Return the SQLAlchemy engine for `sqlite:///file` or `postgresql://…`, which writes.

    Errors are told without a statement's values: names and addresses are among them.
    """
    parsed = make_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    driver = "sqlite+aiosqlite" if is_sqlite else "postgresql+asyncpg"
    made = create_async_engine(
        parsed.set(drivername=driver),
        hide_parameters=True,
        poolclass=BoundedPool,
        # SQLite has one writer at a time: here they queue, and nobody overtakes.
        pool_size=1 if is_sqlite else waits.connections,
        max_overflow=0,
        pool_timeout=waits.lock_s,
        connect_args={} if is_sqlite else {"server_settings": server_settings(waits)},
    )
    event.listen(made.sync_engine, "handle_error", busy)
    if is_sqlite:
        event.listen(made.sync_engine, "connect", partial(set_up_sqlite, waits))
        event.listen(made.sync_engine, "begin", begin_immediate)
        event.listen(made.sync_engine, "invalidate", roll_back)
    return made


@asynccontextmanager
async def opened(url: str, waits: Waits = PATIENT) -> AsyncIterator[AsyncEngine]:
    """Give an engine, and close its connections in the end, whatever that is."""
    made = engine(url, waits)
    try:
        yield made
    finally:
        await made.dispose()


class BoundedPool(AsyncAdaptedQueuePool):
    """Connections, for which nobody waits longer than for a lock."""

    def connect(self) -> PoolProxiedConnection:
        try:
            return super().connect()
        except (TimeoutError, exc.TimeoutError, asyncpg.TooManyConnectionsError) as error:
            raise DatabaseBusy("no connection in time") from error


def server_settings(waits: Waits) -> dict[str, str]:
    """Return PostgreSQL's settings of a session, in milliseconds."""
    limits = {
        "lock_timeout": waits.lock_s,
        "statement_timeout": waits.statement_s,
        "idle_in_transaction_session_timeout": waits.idle_s,
    }
    return {
        # Each statement sees what is committed, and locks wait: the code is written for this.
        "default_transaction_isolation": "read committed",
        **{name: str(int(seconds * 1000)) for name, seconds in limits.items()},
    }


def busy(context: ExceptionContext) -> BaseException | None:
    """Tell an error by which the database gives up waiting from all others."""
    error = context.original_exception
    code = getattr(error, "sqlite_errorcode", None)
    gave_up = code is not None and code & 0xFF in SQLITE_BUSY
    if gave_up or getattr(error, "sqlstate", None) in POSTGRES_BUSY:
        return DatabaseBusy("the database gave up waiting")
    return None


def set_up_sqlite(waits: Waits, connection: Any, _: Any) -> None:
    # The driver's own BEGIN would be a deferred one.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(waits.lock_s * 1000)}")
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
        async with self.place():
            connection = await self.taken()
            try:
                return await connection.row(sql, values)
            except asyncio.CancelledError:
                # The statement may still be running: nobody else can use this connection.
                connection.connection.terminate()
                raise
            except (asyncpg.QueryCanceledError, TimeoutError):
                raise StatementTimeout from None
            except asyncpg.StatementTooComplexError:
                raise StatementTooDeep from None
            finally:
                if not connection.connection.is_closed():
                    self.idle.append(connection)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for one of the connections; StatementTimeout, where none is free in time."""
        if self.places.locked():
            try:
                async with asyncio.timeout(self.timeout_s):
                    await self.places.acquire()
            except TimeoutError:
                raise StatementTimeout from None
        else:
            await self.places.acquire()
        try:
            yield
        finally:
            self.places.release()

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
            self.dsn,
            server_settings=settings,
            statement_cache_size=0,
            # Where the server itself doesn't tell, as one that is stopped.
            command_timeout=self.timeout_s + GRACE_S,
        )
        # asyncpg's own takes the last day of Python's calendar for infinity.
        await connection.set_type_codec(
            "date", schema="pg_catalog", encoder=str, decoder=dt.date.fromisoformat
        )
        return Prepared(connection)

    async def close(self) -> None:
        while self.idle:
            await self.idle.pop().connection.close()
