"""Connections to a database: how they are opened, watched and ended."""

import asyncio
import logging
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from weakref import WeakSet

import asyncpg

from models.database import pooler
from models.database.dsn import Dsn, Host
from models.database.errors import DatabaseUnavailable, is_gone, one_line_reason
from models.database.session import SessionSettings

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# How long opening a connection may take.
CONNECT_S = 3.0
# How long setting it up may take. A pooler is found out meanwhile, and may have no session to lend.
SET_UP_S = 8.0
# How often the database is asked whether it answers: while it does, and while it does not.
PROBE_EVERY_S, PROBE_AGAIN_S = 1.0, 0.3
# The time limit of such a question.
PROBE_S = 2.0
# Seconds of silence before the first keepalive, seconds between two, their number before the
# connection is closed, and milliseconds that sent data may stay unconfirmed.
KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}

# Of the driver, while a connection is opened or breaks.
FAILURES = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

log = logging.getLogger("portal")


class Connector(Protocol):
    """The way to a database, which tells whether it answers."""

    async def answers(self, within_s: float) -> bool:
        """Return whether the database answers now, on a connection of its own."""

    async def watch(self) -> None:
        """Watch the database for ever."""

    async def close(self) -> None:
        """Close the connection that the database is asked on."""


class PostgresConnector:
    """Factory of connections to a PostgreSQL server, with a list of the open ones.

    While the server is watched, a probe asks it every second on a connection of its own. Without an
    answer all connections are closed, so that their statements fail at once. No connection is
    opened until the probe has an answer again.
    """

    def __init__(self, dsn: Dsn, *, of_replica: bool = False) -> None:
        self.dsn, self.of_replica = dsn, of_replica
        # The host that was reached last comes first.
        self.hosts: list[Host | None] = [*dsn.hosts] or [None]
        self.connections: WeakSet[Connection] = WeakSet()
        # Those that are not used again, once what runs on them is done.
        self.distrusted: WeakSet[Connection] = WeakSet()
        self.probe: Connection | None = None
        self.probing = asyncio.Lock()
        self.finding = asyncio.Lock()
        # Whether a pooler lends sessions for one transaction only; None, until that is known.
        self.pools_transactions: bool | None = None
        # Why the server doesn't answer.
        self.outage: DatabaseUnavailable | None = None

    async def connect(
        self, *_: Any, session: SessionSettings, command_timeout: float | None = None
    ) -> Connection:
        """Open a connection with these settings; DatabaseUnavailable, where there is none.

        SQLAlchemy calls it too, with the parts of a URL, which is ours anyway.
        """
        if self.outage is not None and isinstance(self.outage.__cause__, TimeoutError):
            raise DatabaseUnavailable(str(self.outage))
        connection = await self.open(command_timeout=command_timeout)
        self.connections.add(connection)
        try:
            async with asyncio.timeout(SET_UP_S):
                await self.set_up(connection, session)
        except FAILURES as error:
            connection.terminate()
            raise DatabaseUnavailable(one_line_reason(error)) from error
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def set_up(self, connection: Connection, session: SessionSettings) -> None:
        if await self.find_pooler(connection):
            await session.try_out(connection)
        else:
            await session.set_up(connection)

    async def find_pooler(self, connection: Connection) -> bool:
        """Return whether a pooler lends sessions for one transaction; found out once."""
        async with self.finding:
            if self.pools_transactions is None and await pooler.is_pooled(connection):
                self.pools_transactions = await pooler.pools_transactions(self.open)
        return bool(self.pools_transactions)

    async def open(self, **more: Any) -> Connection:
        """Open a connection to the first host that takes changes, or to the first replica."""
        failure: Exception | None = None
        for host in tuple(self.hosts):
            try:
                connection = await self.open_at(host, **more)
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.InternalClientError) as error:
                failure = error
            except FAILURES as error:
                raise DatabaseUnavailable(one_line_reason(error)) from error
            else:
                self.hosts.remove(host)
                self.hosts.insert(0, host)
                return connection
        assert failure is not None
        raise DatabaseUnavailable(one_line_reason(failure)) from failure

    async def open_at(self, host: Host | None, **more: Any) -> Connection:
        name, port = host or (None, None)
        connection: Connection = await asyncpg.connect(
            host=name,
            port=port,
            # All hosts together take no longer than one may.
            timeout=self.dsn.connect_timeout_s or CONNECT_S / len(self.hosts),
            statement_cache_size=0,
            **self.dsn.arguments(of_replica=self.of_replica),
            **more,
        )
        keep_alive(connection)
        return connection

    def end_all(self) -> None:
        """End every connection: what runs on one fails at once."""
        for connection in list(self.connections):
            connection.terminate()

    def distrust(self) -> None:
        """Have every connection that is open now replaced by another before it is used again.

        They lead to a server that was demoted, and its successor is to be found; or one of them
        was dead without a word.
        """
        self.distrusted.update(self.connections)

    def is_usable(self, connection: Connection) -> bool:
        """Return whether an idle connection may be used. One that may not be is ended."""
        if connection in self.distrusted:
            connection.terminate()
        return not connection.is_closed()

    # -- the probe ---------------------------------------------------------------------------------

    async def answers(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                return await self.look() is None
        except TimeoutError:
            return False

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY_S if self.outage is None else PROBE_AGAIN_S)
            await self.look()

    async def look(self) -> DatabaseUnavailable | None:
        """Ask the server whether it answers; return the reason why it does not."""
        async with self.probing:
            failure = await self.ask_twice()
        # A server that takes no more connections still serves those that are open.
        outage = failure if failure and is_gone(failure.__cause__) else None
        if outage and not self.outage:
            log.warning("the database does not answer: %s", outage)
            self.end_all()
        elif self.outage and not outage:
            log.warning("the database answers again")
        self.outage = outage
        return failure

    async def ask_twice(self) -> DatabaseUnavailable | None:
        """Ask on the connection that is there, and once more on a new one."""
        if await self.ask() is None:
            return None
        loop = asyncio.get_running_loop()
        began = loop.time()
        failure = await self.ask()
        if loop.time() > began + 2 * PROBE_S:
            # This process stood still, and the answer may have been there.
            failure = None
        if failure is None:
            self.distrust()
        return failure

    async def ask(self) -> DatabaseUnavailable | None:
        try:
            async with asyncio.timeout(PROBE_S):
                if self.probe is None or self.probe.is_closed():
                    self.probe = await self.open()
                await self.probe.execute("SELECT 1")
        except (DatabaseUnavailable, *FAILURES) as why:
            self.forget_probe()
            return probe_failure(why)
        except BaseException:
            self.forget_probe()
            raise
        return None

    def forget_probe(self) -> None:
        if self.probe is not None:
            self.probe.terminate()
        self.probe = None

    async def close(self) -> None:
        """Close the probe's connection; end all, where the server is gone and closes none."""
        await self.look()
        self.forget_probe()


def probe_failure(why: Exception) -> DatabaseUnavailable:
    """Return the error of a probe that failed, with its cause."""
    if isinstance(why, DatabaseUnavailable):
        return why
    failure = DatabaseUnavailable(one_line_reason(why))
    failure.__cause__ = why
    return failure


def keep_alive(connection: Connection) -> None:
    """Have the kernel find out when the other side of a connection is gone."""
    # asyncpg gives no other way to its socket.
    found = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        # Not every system has all of them.
        if (option := getattr(socket, name, None)) is not None:
            with suppress(OSError):
                found.setsockopt(socket.IPPROTO_TCP, option, value)


class SqliteConnector:
    """The way to an SQLite file, which is opened to see whether it can be read."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def answers(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await asyncio.to_thread(self.look, within_s)
        except (TimeoutError, sqlite3.Error):
            return False
        return True

    def look(self, within_s: float) -> None:
        """Read the file's schema. A file that is not there is not made."""
        uri = f"{Path(self.path).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=within_s)) as conn:
            conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    async def watch(self) -> None:
        """Do nothing: a file has no connections that hang."""

    async def close(self) -> None:
        """Do nothing: no connection stays open."""


@asynccontextmanager
async def watch_database(connector: Connector) -> AsyncIterator[None]:
    """Have a database watched as long as the context lasts."""
    task = asyncio.create_task(connector.watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connector.close()
