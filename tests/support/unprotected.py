"""Changes that triggers refuse, as only the owner of the tables can make them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from models import Row
from models.append_only import is_append_only, protect, unprotect
from models.database import open_engine
from models.states import TRANSITIONS, trigger
from tests.support import postgres
from tests.support.triggers import drop_triggers, fire_deferred


@asynccontextmanager
async def unprotected(url: str, *tables: str) -> AsyncIterator[AsyncConnection]:
    """Yield a transaction of the owner, in which these tables have no triggers."""
    only_added = [name for name in tables if is_append_only(Row.metadata.tables[name])]
    guarded = [one for one in TRANSITIONS.values() if one.table in tables]
    async with open_engine(postgres.as_owner(url)) as owner, owner.begin() as conn:
        for name in only_added:
            await conn.run_sync(unprotect, name)
        await drop_triggers(conn, *(transitions.table for transitions in guarded))
        yield conn
        # A table with triggers that have yet to fire can't be altered.
        await fire_deferred(conn)
        for name in only_added:
            await conn.run_sync(protect, name)
        for transitions in guarded:
            for statement in trigger(transitions, conn.dialect.name):
                await conn.exec_driver_sql(statement)
