"""Bulk inserts: on PostgreSQL by COPY, or by one INSERT of arrays where a policy refuses COPY. Both
are several times faster there than an INSERT of each row.
"""

import json
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, Dialect, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.database import concealed
from models.row import Row, written

# The rows of one statement of arrays.
ARRAY = 2_000


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


async def plan_anew(conn: AsyncConnection) -> None:
    """Let PostgreSQL plan its foreign key checks anew, now that there are more rows.

    A session keeps these plans. Those of an empty table read all rows of a practice for each check.
    """
    if conn.dialect.name == "postgresql":
        await conn.execute(text("DISCARD PLANS"))


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
        await insert_tuples(conn, row, rows)
        return
    columns = written(row)
    driver = await driver_connection(conn)
    with concealed():
        await driver.copy_records_to_table(
            row.__tablename__,
            columns=columns.keys(),
            records=map(itemgetter(*columns.keys()), with_texts(row, rows)),
        )


async def insert_tuples(
    conn: AsyncConnection, row: type[Row], rows: Sequence[dict[str, Any]]
) -> None:
    """Insert rows by SQLite's driver: an INSERT of SQLAlchemy takes twice the time for each row."""
    columns = written(row)
    processors = [
        column.type.dialect_impl(conn.dialect).bind_processor(conn.dialect) or unchanged
        for column in columns.values()
    ]
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {row.__tablename__} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names
    values = map(itemgetter(*columns), rows)
    tuples = [
        tuple(process(value) for process, value in zip(processors, one, strict=True))
        for one in values
    ]
    await conn.exec_driver_sql(statement, tuples)


def unchanged(value: Any) -> Any:
    return value


async def insert_arrays(
    conn: AsyncConnection, row: type[Row], rows: Sequence[dict[str, Any]]
) -> None:
    """Insert rows as `copy` does, by a statement that policies allow: one array for each column."""
    if conn.dialect.name != "postgresql":
        await insert_tuples(conn, row, rows)
        return
    columns = written(row)
    driver = await driver_connection(conn)
    statement = array_statement(row, conn.dialect)
    texts = with_texts(row, rows)
    with concealed():
        for start in range(0, len(texts), ARRAY):
            values = map(itemgetter(*columns.keys()), texts[start : start + ARRAY])
            await driver.execute(statement, *map(list, zip(*values, strict=True)))


def array_statement(row: type[Row], dialect: Dialect) -> str:
    """Return the INSERT of a table's rows from an array for each column."""
    columns = written(row)
    arrays = (
        f"${place}::{column.type.compile(dialect).partition(' COLLATE')[0]}[]"
        for place, column in enumerate(columns.values(), 1)
    )
    names = ", ".join(columns)
    return f"INSERT INTO {row.__tablename__} ({names}) SELECT * FROM unnest({', '.join(arrays)})"  # noqa: S608 - names


async def driver_connection(conn: AsyncConnection) -> Any:
    # SQLAlchemy begins its transaction with its first own statement, and the driver's is not one.
    await conn.execute(text("SELECT 1"))
    return (await conn.get_raw_connection()).driver_connection


def with_texts(row: type[Row], rows: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """Return the rows with JSON as text, as asyncpg takes it. It takes all other values as is."""
    lists = [name for name, column in written(row).items() if isinstance(column.type, JSON)]
    if not lists:
        return rows
    return [one | {name: json.dumps(one[name]) for name in lists} for one in rows]
