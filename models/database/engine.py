"""The SQLAlchemy engine, by which everything is written."""

import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import ExceptionContext, event, exc, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection

from models.database.errors import DatabaseBusy
from models.database.repeating import is_stale, repeat_first_statements
from models.database.sqlite import sha256
from models.database.waits import BUSY_TIMEOUT_MS, PATIENT, Waits

SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# lock_not_available, query_canceled, deadlock_detected, serialization_failure, and
# idle_in_transaction_session_timeout.
POSTGRES_BUSY = ("55P03", "57014", "40P01", "40001", "25P03")
SQLITE_PRAGMAS = ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL")


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
        connect_args={} if is_sqlite else connect_arguments(waits),
    )
    event.listen(made.sync_engine, "handle_error", busy)
    if is_sqlite:
        event.listen(made.sync_engine, "connect", partial(set_up_sqlite, waits))
        event.listen(made.sync_engine, "begin", begin_immediate)
        event.listen(made.sync_engine, "invalidate", roll_back)
    else:
        repeat_first_statements(made.sync_engine)
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


def connect_arguments(waits: Waits) -> dict[str, Any]:
    """Return what SQLAlchemy opens connections to PostgreSQL with."""
    return {
        "server_settings": server_settings(waits),
        # A name of its own for each prepared statement: behind a pooler a name that is used again
        # would run the statement of another connection.
        "prepared_statement_name_func": lambda: f"write_{uuid.uuid4().hex}",
        # asyncpg's own cache numbers its statements on each connection.
        "statement_cache_size": 0,
    }


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
    if is_stale(error):
        # The session may have lost its settings too.
        context.is_disconnect = True
        return DatabaseBusy("a prepared statement is stale")
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
