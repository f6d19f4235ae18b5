"""The command `portal client erase`, which works as the owner of the tables."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.client_records.erasure import Erasure, erase_client
from billing.client_records.erasure_checks import NotErasable, Retention
from billing.payments.context import local_day
from models import Client, Practice
from models.database import DatabaseBusy, Waits, open_engine
from server.cli.operators import operator
from server.cli.rows import find_row
from server.clock import utc_now
from server.command_errors import CommandError
from server.recovery_check import refuse_restored
from server.settings import Settings

COMMAND = "portal client erase"
# Less than the second after which PostgreSQL would end one of two transactions that wait for each
# other: this one gives up first, and no payment does.
BRIEF = Waits(lock_s=0.5, statement_s=0, idle_s=0)
TRIES, PAUSE_S = 40, 0.5
OWNS = text(
    "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class"
    " WHERE oid = to_regclass('access_entry')"
)


class NotErased(CommandError):
    """Nothing was erased. The text gives the reason."""


async def erase(settings: Settings, client: str, reason: str, despite: Collection[str]) -> str:
    """Erase a client's personal data, and return a sentence about it."""
    url = settings.database_owner_url or settings.database_url
    async with open_engine(url, BRIEF) as engine:
        await refuse_restored(engine)
        async with engine.connect() as conn:
            row = await find_row(conn, Client, client)
        wanted = Erasure(row.practice_id, row.id, reason, despite)
        for left in reversed(range(TRIES)):
            try:
                erased = await erase_now(engine, wanted, settings.retention_years)
                break
            except DatabaseBusy:
                if not left:
                    raise
                await asyncio.sleep(PAUSE_S)
        await forget_pages(engine)
    named = " and ".join(f"cli_{client_id}" for client_id in erased)
    return f"{named}: the personal data is erased. Erase again after a restore of an older backup."


async def erase_now(engine: AsyncEngine, wanted: Erasure, years: int) -> Sequence[str]:
    """Erase in one transaction."""
    now = utc_now()
    zone = select(Practice.time_zone).where(Practice.id == wanted.practice_id)
    async with engine.begin() as conn:
        if engine.dialect.name == "sqlite":
            # Deleted content is overwritten in the file.
            await conn.exec_driver_sql("PRAGMA secure_delete=ON")
        elif not await conn.scalar(OWNS):
            raise NotErased("The owner of the tables erases: set DATABASE_OWNER_URL.")
        term = Retention(years, local_day(now, str(await conn.scalar(zone))))
        by = operator(wanted.practice_id, COMMAND)
        try:
            return await erase_client(conn, wanted, term, by, now)
        except NotErasable as error:
            raise NotErased(str(error)) from None


async def forget_pages(engine: AsyncEngine) -> None:
    """Empty SQLite's log, which has the pages as they were before."""
    if engine.dialect.name == "sqlite":
        async with engine.connect() as conn:
            raw: Any = await conn.get_raw_connection()
            await raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
