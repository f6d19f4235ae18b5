"""The engine for all reads, and the execution of statements."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

CONNECTIONS = 10
SETTINGS = {
    "jit": "off",
    "default_transaction_read_only": "on",
    "statement_timeout": "10000",
    # By default the database plans most of these again at each run.
    "plan_cache_mode": "force_generic_plan",
}


class Database:
    """Sessions over ten connections. Reads need no BEGIN and no ROLLBACK."""

    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=CONNECTIONS,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
            connect_args={"server_settings": SETTINGS},
            hide_parameters=True,
        )
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(self.engine)

    async def close(self) -> None:
        await self.engine.dispose()


class Reading:
    """The session of one request.

    Fields are resolved concurrently, and a session runs one statement at a time. Waiting for it
    costs less than a session per field: under load the process is the bottleneck, not the database.
    """

    def __init__(self, session: AsyncSession) -> None:
        self.session, self.free = session, asyncio.Lock()

    async def rows(
        self, statement: Select[*tuple[Any, ...]], values: Mapping[str, Any]
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        async with self.free:
            return (await self.session.execute(statement, values)).all()

    async def entities(self, statement: Select[Any], values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the objects of a statement that selects one mapped class."""
        async with self.free:
            return (await self.session.scalars(statement, values)).all()
