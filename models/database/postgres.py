"""Planned reads on PostgreSQL: a few connections, each with its prepared statements."""

import asyncio
import datetime as dt
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import asyncpg
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import asyncpg as postgresql

from models.database.connecting import PostgresConnector
from models.database.errors import (
    DatabaseUnavailable,
    StatementTimeout,
    StatementTooDeep,
    reason,
    transient,
)
from models.database.waits import GRACE_S, PREPARED_A_CONNECTION, Statement

PARAMETER = re.compile(r"\$(\d+)")


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

    def told(self, error: Exception) -> Exception:
        """Return the error to raise for one of the driver's. A connection that had no answer in
        time is ended."""
        if isinstance(error, TimeoutError):
            self.connection.terminate()
        if (found := transient(error)) is not None:
            return found
        return DatabaseUnavailable(reason(error)) if self.connection.is_closed() else error


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

    def __init__(self, connector: PostgresConnector, size: int, timeout_s: float) -> None:
        self.connector, self.timeout_s = connector, timeout_s
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
            except asyncpg.QueryCanceledError:
                raise StatementTimeout from None
            except asyncpg.StatementTooComplexError:
                raise StatementTooDeep from None
            except Exception as error:
                raise connection.told(error) from error
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
        connection = await self.connector.connect(
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
