"""Read-only transactions whose statements all see the same rows, for reads that take long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from models.database.dsn import backend_name
from models.database.engine import open_engine, open_file, set_up_sqlite
from models.database.timeouts import PATIENT


@asynccontextmanager
async def open_snapshot(url: str) -> AsyncIterator[AsyncConnection]:
    """Open a snapshot on a connection of its own. Nobody who writes waits for it."""
    if backend_name(url) == "sqlite":
        async with sqlite_snapshot(url) as conn:
            yield conn
        return
    async with open_engine(url) as engine, engine.connect() as conn:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        yield await conn.execution_options(**options)


@asynccontextmanager
async def sqlite_snapshot(url: str) -> AsyncIterator[AsyncConnection]:
    """Open a deferred transaction: SQLite's other transactions here begin as the one writer."""
    engine: AsyncEngine = create_async_engine(
        make_url(url).set(drivername="sqlite+aiosqlite"),
        hide_parameters=True,
        connect_args={"async_creator_fn": open_file},
    )
    event.listen(engine.sync_engine, "connect", lambda *opened: set_up_sqlite(PATIENT, *opened))
    event.listen(engine.sync_engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN"))
    try:
        async with engine.connect() as conn:
            await conn.exec_driver_sql("PRAGMA query_only=ON")
            yield conn
    finally:
        await engine.dispose()
