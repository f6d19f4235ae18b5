"""Entries by commands: the database, and the operator as the actor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Row

from billing.entry.commands import EntryContext
from billing.entry.external_ids import ExternalId
from models import database
from server.cli.operators import operator
from server.cli.rows import find_row
from server.clock import utc_now
from server.command_errors import CommandError
from server.recovery_check import refuse_restored
from server.settings import Settings

# The name of another system, and the key of a record there.
Key = tuple[str, str | None]


class NotEntered(CommandError):
    """Nothing was changed. The text gives the reason."""


@asynccontextmanager
async def entering(
    settings: Settings, command: str, practice_id: str = ""
) -> AsyncIterator[EntryContext]:
    """Yield the context of a command's entries. A restored database has to be recovered first."""
    engine = database.engine(settings.database_url)
    try:
        await refuse_restored(engine)
        yield EntryContext(engine, utc_now, operator(practice_id, command))
    finally:
        await engine.dispose()


@asynccontextmanager
async def entering_for(
    settings: Settings, command: str, table: Any, id_: str
) -> AsyncIterator[tuple[EntryContext, Row[Any]]]:
    """Yield the context of entries about a row, such as a client, and the row."""
    async with entering(settings, command) as context:
        async with context.engine.connect() as conn:
            row = await find_row(conn, table, id_)
        yield context.for_practice(getattr(row, "practice_id", row.id)), row


def external_id(key: Key) -> ExternalId | None:
    """Return the key of a record in another system, if there is one."""
    source, id_ = key
    return ExternalId(source, id_) if id_ is not None else None
