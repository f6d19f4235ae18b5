"""The SQLAlchemy engine, by which everything is written."""

import asyncio
import logging
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiosqlite
import asyncpg
from sqlalchemy import ExceptionContext, event, exc, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection

from models.database.confinement import practice
from models.database.connector import Connector, PostgresConnector, SqliteConnector
from models.database.dsn import Dsn, backend_name, sqlite_path
from models.database.error_redaction import conceal
from models.database.errors import DatabaseBusy, DatabaseUnavailable, one_line_reason, transient
from models.database.session import SessionSettings
from models.database.sqlite import sha256_hex
from models.database.timeouts import BUSY_TIMEOUT_MS, GRACE_S, PATIENT, Waits
from models.database.transactions import Transactions, is_stale

# read_only_sql_transaction.
DEMOTED = "25006"
# How long SQLite itself waits for its lock, while nothing can stop it.
BUSY_ROUND_S = 1.0
SQLITE_PRAGMAS = ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL")

# At DEBUG it logs statements with their values.
logging.getLogger("aiosqlite").setLevel(logging.INFO)


def connector_of(url: str) -> Connector:
    """Return the way to the database of a URL."""
    if backend_name(url) == "sqlite":
        return SqliteConnector(sqlite_path(url))
    return PostgresConnector(Dsn.of(url))


def engine(
    url: str,
    waits: Waits = PATIENT,
    connector: Connector | None = None,
    *,
    confined: bool = False,
) -> AsyncEngine:
    """Return the SQLAlchemy engine for `sqlite:///file` or `postgresql://…`, which writes.

    It writes rows of every practice; where it is `confined`, those of the practice that each
    transaction is begun within.

    Errors are told without values, of statements and of rows: names and addresses are among them.
    An error that passes is raised as a TransientError.
    """
    connector = connector or connector_of(url)
    if isinstance(connector, PostgresConnector):
        session = SessionSettings.of_changes(waits, confined=confined)
        made = create_async_engine(
            # Where it is, the connector knows.
            "postgresql+asyncpg://",
            hide_parameters=True,
            poolclass=BoundedPool,
            pool_size=waits.connections,
            max_overflow=0,
            pool_timeout=waits.lock_s,
            # Each statement sees what is committed, and locks wait: the code is written for this.
            isolation_level="READ COMMITTED",
            connect_args={"session": session, **connect_arguments(connector, waits)},
        )
        Transactions(connector, session, confined=confined).listen(made.sync_engine)
        event.listen(made.sync_engine, "checkout", partial(refuse_unusable, connector))
    else:
        made = create_async_engine(
            make_url(url).set(drivername="sqlite+aiosqlite"),
            hide_parameters=True,
            poolclass=BoundedPool,
            # SQLite has one writer at a time: here they queue, and nobody overtakes.
            pool_size=1,
            max_overflow=0,
            pool_timeout=waits.lock_s,
            connect_args={"async_creator_fn": open_file},
        )
        event.listen(made.sync_engine, "connect", partial(set_up_sqlite, waits))
        if confined:
            event.listen(made.sync_engine, "begin", lambda _: practice())
        event.listen(made.sync_engine, "begin", partial(begin_immediate, waits))
        event.listen(made.sync_engine, "invalidate", roll_back_quietly)
    event.listen(made.sync_engine, "handle_error", partial(translate, connector))
    return made


@asynccontextmanager
async def open_engine(url: str, waits: Waits = PATIENT) -> AsyncIterator[AsyncEngine]:
    """Give an engine, and close its connections in the end, whatever that is."""
    made = engine(url, waits)
    try:
        yield made
    finally:
        await made.dispose()


async def refuse_unfit(url: str, waits: Waits, timeout_s: float) -> None:
    """Open connections as a server does; UnfitDatabase, where it could not serve by them."""
    connector = connector_of(url)
    if isinstance(connector, PostgresConnector):
        for session in (SessionSettings.of_reads(timeout_s), SessionSettings.of_changes(waits)):
            connection = await connector.connect(session=session)
            await connection.close()


class BoundedPool(AsyncAdaptedQueuePool):
    """Connections, for which nobody waits longer than for a lock."""

    def connect(self) -> PoolProxiedConnection:
        try:
            return super().connect()
        except exc.TimeoutError as error:
            raise DatabaseBusy("no connection in time") from error
        except exc.InvalidRequestError as error:
            # The pool tries twice: a server that shuts down closes both.
            raise DatabaseUnavailable("connections are closed as they are opened") from error
        except Exception as error:
            found = transient(error)
            if found is None or found is error:
                raise
            raise found from error


def translate(connector: Connector, context: ExceptionContext) -> BaseException | None:
    """Return the transient error that an error of the driver stands for, if it is one.

    Where the database is gone, all connections of the pool are opened anew; where it takes no
    changes any more, those of the reads too.
    """
    error = context.original_exception
    conceal(context.sqlalchemy_exception)
    conceal(error, of_statement=True)
    if is_stale(error):
        # The session may have lost its settings too.
        context.is_disconnect = True
        return DatabaseBusy("a prepared statement is stale")
    found = transient(error)
    is_lost = context.is_disconnect or is_closed(context)
    if found is None and is_lost and isinstance(error, Exception):
        found = DatabaseUnavailable(one_line_reason(error))
    if isinstance(found, DatabaseUnavailable):
        context.is_disconnect = True
        if getattr(error, "sqlstate", None) == DEMOTED and isinstance(connector, PostgresConnector):
            connector.distrust()
    return found


def is_closed(context: ExceptionContext) -> bool:
    """Return whether the connection of an error was closed, by whatever side."""
    conn = context.connection
    if conn is None or conn.invalidated:
        return False
    driver = conn.connection.driver_connection
    return isinstance(driver, asyncpg.Connection) and driver.is_closed()


def refuse_unusable(connector: PostgresConnector, connection: Any, *_: Any) -> None:
    """Have the pool open another connection in the place of one that was closed meanwhile."""
    if not connector.is_usable(connection.driver_connection):
        raise exc.DisconnectionError


def connect_arguments(connector: PostgresConnector, waits: Waits) -> dict[str, Any]:
    """Return what SQLAlchemy opens connections to PostgreSQL with."""
    return {
        "async_creator_fn": connector.connect,
        # Where the server itself doesn't tell, as one that is stopped.
        "command_timeout": waits.statement_s + GRACE_S if waits.statement_s else None,
        # A name of its own for each prepared statement: behind a pooler a name that is used again
        # would run the statement of another connection.
        "prepared_statement_name_func": lambda: f"write_{uuid.uuid4().hex}",
    }


async def open_file(*given: Any, **more: Any) -> aiosqlite.Connection:
    """Open an SQLite file.

    Where that fails, its thread is waited for: it would else speak to an event loop that has ended.
    """
    connection = aiosqlite.connect(*given, **more)
    thread = connection._thread
    # As SQLAlchemy has it: no process waits for a connection that nobody has closed.
    thread.daemon = True
    try:
        return await connection
    except sqlite3.Error:
        await asyncio.to_thread(thread.join)
        raise


def set_up_sqlite(waits: Waits, connection: Any, _: Any) -> None:
    # The driver's own BEGIN would be a deferred one.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(min(waits.lock_s, BUSY_ROUND_S) * 1000)}")
    for pragma in SQLITE_PRAGMAS:
        patiently(cursor, f"PRAGMA {pragma}")
    cursor.close()
    connection.create_function("sha256", 1, sha256_hex, deterministic=True)


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


def begin_immediate(waits: Waits, connection: Any) -> None:
    """Begin as the one writer: a deferred transaction that turns writer loses to BUSY.

    The lock is waited for in rounds. A task that is cancelled waits for the end of a round.
    """
    until = time.monotonic() + waits.lock_s
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except DatabaseBusy:
            if time.monotonic() >= until:
                raise


def roll_back_quietly(connection: Any, *_: Any) -> None:
    """Before a connection is thrown away, as it is when its task is cancelled amid a transaction.

    Closing doesn't end the transaction while a cursor is about, and a traceback may hold one: the
    file would be locked until both are collected.
    """
    connection.rollback()
