"""Changes of append-only tables, past their triggers, as only the owner of the tables can make."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from models.append_only import protect, unprotect
from models.database import open_engine
from tests.support import postgres


@asynccontextmanager
async def unprotected(url: str, *tables: str) -> AsyncIterator[AsyncConnection]:
    """Yield a transaction of the owner, in which these tables have no triggers."""
    async with open_engine(postgres.as_owner(url)) as owner, owner.begin() as conn:
        for table in tables:
            await conn.run_sync(unprotect, table)
        yield conn
        for table in tables:
            await conn.run_sync(protect, table)
