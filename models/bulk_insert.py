"""Bulk inserts: COPY on PostgreSQL, which is several times faster there than INSERT."""

import json
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.database import concealed
from models.row import Row, written


async def trust_foreign_keys(conn: AsyncConnection) -> None:
    """Disable foreign key checks for the rest of the transaction, if the user may do so.

    The rows must be known to be consistent. Only a superuser of PostgreSQL may disable the checks,
    which halves the time; for other users nothing changes.
    """
    if conn.dialect.name != "postgresql":
        return
    is_superuser = await conn.scalar(text("SELECT current_setting('is_superuser') = 'on'"))
    if is_superuser:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))


async def is_kept_from(engine: AsyncEngine, row: type[Row]) -> bool:
    """Return whether a table's policy holds for the engine's role: PostgreSQL then refuses COPY."""
    if engine.dialect.name != "postgresql":
        return False
    statement = select(func.row_security_active(row.__tablename__))
    async with engine.connect() as conn:
        return bool(await conn.scalar(statement))


async def copy(conn: AsyncConnection, row: type[Row], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows in the connection's transaction. Each row has all columns."""
    if conn.dialect.name != "postgresql":
        await conn.execute(insert(row), rows)
        return
    # SQLAlchemy begins its transaction with its first own statement, and COPY is not one.
    await conn.execute(text("SELECT 1"))
    columns = written(row)
    lists = [name for name, column in columns.items() if isinstance(column.type, JSON)]
    # asyncpg takes JSON as text, and all other values unchanged.
    texts = (
        [one | {name: json.dumps(one[name]) for name in lists} for one in rows] if lists else rows
    )
    driver: Any = (await conn.get_raw_connection()).driver_connection
    with concealed():
        await driver.copy_records_to_table(
            row.__tablename__,
            columns=columns.keys(),
            records=map(itemgetter(*columns.keys()), texts),
        )
