"""A pooler between the portal and PostgreSQL: found out by trying, since no pooler says so.

PgBouncer is one. With `pool_mode = session` a connection keeps one session of the server. With
`pool_mode = transaction` each transaction may run in another session, where nothing holds that was
set before; from 1.21 on PgBouncer at least prepares statements there again.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import asyncpg

from models.database.errors import DatabaseUnavailable
from models.database.session import UnfitDatabase

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

BACKEND = "SELECT pg_backend_pid()"
ROUNDS = 3
# How long the pooler may take to lend two sessions of the server.
LENDS_WITHIN_S = 5.0
WHICH = (
    "PgBouncer does with pool_mode = session, and from 1.21 on with pool_mode = transaction and"
    " max_prepared_statements above 0."
)
LOST = UnfitDatabase(f"A pooler before the database loses prepared statements. {WHICH}")
TOO_SHORT = UnfitDatabase(f"A pooler before the database allows no transactions. {WHICH}")


async def is_pooled(conn: Connection) -> bool:
    """Return whether a pooler stands between: it names another process than the server does."""
    there: int = await conn.fetchval(BACKEND)
    return there != conn.get_server_pid()


async def pools_transactions(connect: Callable[[], Awaitable[Connection]]) -> bool:
    """Return whether the pooler lends a session for one transaction only.

    Raise UnfitDatabase, where prepared statements or transactions do not work through it.
    """
    conns: list[Connection] = []
    try:
        async with asyncio.timeout(LENDS_WITHIN_S):
            conns += [await connect(), await connect()]
            return await are_mixed(*conns)
    except TimeoutError as error:
        raise DatabaseUnavailable("the pooler lends no two sessions in time") from error
    finally:
        for conn in conns:
            conn.terminate()


async def are_mixed(first: Connection, second: Connection) -> bool:
    """Return whether the first connection runs a statement in more than one of the server's
    sessions, while the second takes them away for a transaction."""
    try:
        statement = await first.prepare(BACKEND, name=f"probe_{uuid.uuid4().hex}")
        seen = {await statement.fetchval()}
        others = set()
        for _ in range(ROUNDS):
            await on_begin(second)
            others.add(await second.fetchval(BACKEND))
            seen.add(await statement.fetchval())
            await second.execute("COMMIT")
            seen.add(await statement.fetchval())
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        raise LOST from None
    if len(seen) == 1 and not seen & others:
        return False
    if len(seen) == 1:
        # It was never run where it was not prepared, so nothing shows that it could be.
        raise LOST
    return True


async def on_begin(conn: Any) -> None:
    try:
        await conn.execute("BEGIN")
    except asyncpg.PostgresError:
        raise TOO_SHORT from None
