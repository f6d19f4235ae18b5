"""The rows that commands name, and transactions of commands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from models import database
from models.database import is_unmigrated
from server.command_errors import CommandError
from server.settings import Settings


class NoSuchRow(CommandError):
    """An id that names no row. Nothing was changed."""


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[AsyncConnection]:
    engine = database.engine(settings.database_url)
    try:
        async with engine.begin() as conn:
            yield conn
    finally:
        await engine.dispose()


def row_id_of(id_: str) -> str:
    """Return the row's id, with or without the API's prefix."""
    return id_.rpartition("_")[2]


async def find_row(conn: AsyncConnection, table: Any, id_: str) -> Row[Any]:
    """Return the row with an id, of any practice. Raise NoSuchRow if there is none."""
    try:
        found = await conn.execute(select(table.__table__).where(table.id == row_id_of(id_)))
        row = found.first()
    except StatementError as error:
        if is_unmigrated(error.orig):
            raise
        # The text is not a valid id.
        row = None
    if row is None:
        raise NoSuchRow(f"There is no {table.__tablename__} {id_}.")
    return row
