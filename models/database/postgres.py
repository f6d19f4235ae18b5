"""Planned reads on PostgreSQL: a few connections, each with its prepared statements."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Sequence
from typing import Any

import asyncpg
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import asyncpg as postgresql

from models.database.admission import NO_PRACTICE, Budgets, Caller, Lane
from models.database.connector import PostgresConnector
from models.database.error_redaction import conceal
from models.database.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    StatementTimeout,
    StatementTooDeep,
    is_repeatable,
    one_line_reason,
    transient,
)
from models.database.prepared import STALE, Prepared, joined
from models.database.session import SessionSettings
from models.database.timeouts import GRACE_S, Statement, run_to_end


class PostgresReads:
    """A few connections, each with its prepared statements.

    Not asyncpg's pool: what is prepared there ends when a connection is given back, and giving it
    back is a round trip of its own.
    """

    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

    def __init__(self, connector: PostgresConnector, timeout_s: float, lane: Lane) -> None:
        self.connector, self.timeout_s = connector, timeout_s
        self.idle: list[Prepared] = []
        self.lane = lane

    @property
    def budgets(self) -> Budgets:
        return self.lane.budgets

    async def row(
        self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE
    ) -> Sequence[Any] | None:
        """Return the first row of the statement, if there is one.

        A statement that failed for a reason of its connection is run once more, on a new one:
        other idle connections have most likely failed for the same reason.
        """
        async with self.lane.place(caller):
            try:
                return await self.run(await self.taken(), sql, values, caller.practice_id)
            except Exception as error:
                if not (isinstance(error, STALE) or is_repeatable(error)):
                    raise postgres_error(error) from error
            try:
                return await self.run(await self.opened(), sql, values, caller.practice_id)
            except Exception as error:
                raise postgres_error(error) from error

    async def run(
        self, connection: Prepared, sql: str, values: Sequence[Any], practice_id: str
    ) -> Sequence[Any] | None:
        """Run a statement on a connection, which is idle again afterwards unless it was closed."""
        try:
            return await connection.row(sql, values, practice_id)
        except asyncio.CancelledError:
            await run_to_end(connection.end_statement(sql))
            raise
        except (TimeoutError, *STALE):
            # The statement may still be running, or the session has lost what was prepared on it:
            # nobody else can use this connection.
            connection.connection.terminate()
            raise
        except Exception as error:
            if connection.connection.is_closed() and transient(error) is None:
                raise DatabaseUnavailable(one_line_reason(error)) from error
            raise
        finally:
            if not connection.connection.is_closed():
                self.idle.append(connection)

    async def value(self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE) -> Any:
        row = await self.row(sql, values, caller)
        return row[0] if row else None

    def row_and_value(
        self, first: Statement, second: Statement, caller: Caller = NO_PRACTICE
    ) -> Awaitable[Sequence[Any] | None]:
        """Return the first row of a statement, if there is one, and then the value of another:
        both in one statement."""
        sql = joined(first[0], second[0], len(second[1]))
        return self.row(sql, [*second[1], *first[1]], caller)

    async def taken(self) -> Prepared:
        """A connection that nobody else uses until it is idle again."""
        while self.idle:
            connection = self.idle.pop()
            if self.connector.is_usable(connection.connection):
                return connection
        return await self.opened()

    async def opened(self) -> Prepared:
        session = SessionSettings.of_reads(self.timeout_s)
        connection = await self.connector.connect(
            session=session,
            # Where the server itself doesn't tell, as one that is stopped.
            command_timeout=self.timeout_s + GRACE_S,
        )
        # asyncpg's own takes the last day of Python's calendar for infinity.
        await connection.set_type_codec(
            "date", schema="pg_catalog", encoder=str, decoder=dt.date.fromisoformat
        )
        return Prepared(connection, session.begin if self.connector.pools_transactions else None)

    async def close(self) -> None:
        while self.idle:
            await self.idle.pop().connection.close()


def postgres_error(error: Exception) -> Exception:
    """Return the error that callers know for one of the driver's; without values, all of them."""
    conceal(error, of_statement=True)
    if isinstance(error, asyncpg.QueryCanceledError):
        return StatementTimeout()
    if isinstance(error, asyncpg.StatementTooComplexError):
        return StatementTooDeep()
    if isinstance(error, STALE):
        return DatabaseBusy("a new connection did not run the statement as prepared")
    return transient(error) or error
