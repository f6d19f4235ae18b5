"""The triggers that renew versions of data, and their removal to plant a fault."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.answers.sweeps import DELETE, INSERT, UPDATE

# The sums of PostgreSQL's trigger types, by their events.
BITS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}


@dataclass(frozen=True)
class Trigger:
    """A trigger of the database's catalogue, and the statement that makes it again."""

    name: str
    table: str
    events: tuple[str, ...]
    sql: str


async def triggers_of(conn: AsyncConnection, table: str) -> list[Trigger]:
    """Return the triggers of a table that fire after a change.

    The world has removed those that guard rows. Those for OR REPLACE on SQLite fire before it; the
    sweep replaces rows too, but foreign keys let few tables show that.
    """
    if conn.dialect.name == "sqlite":
        found = await conn.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
            " AND name NOT LIKE '%_replaced_by_%'"
            " ORDER BY name",
            (table,),
        )
        return [Trigger(row.name, table, tuple(events_in(row.sql)), row.sql) for row in found]
    found = await conn.exec_driver_sql(
        "SELECT tgname, tgtype, pg_get_triggerdef(oid) AS sql FROM pg_trigger"
        " WHERE tgrelid = to_regclass($1) AND NOT tgisinternal ORDER BY tgname",
        (table,),
    )
    return [
        Trigger(
            row.tgname,
            table,
            tuple(event for event, bit in BITS.items() if row.tgtype & bit),
            f"{row.sql}; ALTER TABLE {table} ENABLE ALWAYS TRIGGER {row.tgname}",
        )
        for row in found
    ]


def events_in(sql: str) -> Iterator[str]:
    """Yield the events of a trigger of SQLite."""
    head = re.split(r"\bON\b", sql, maxsplit=1)[0]
    yield from (event for event in (UPDATE, INSERT, DELETE) if re.search(rf"\b{event}\b", head))


@asynccontextmanager
async def without(engine: AsyncEngine, trigger: Trigger) -> AsyncIterator[None]:
    """Remove a trigger, and make it again at the end."""
    async with engine.begin() as conn:
        on = f" ON {trigger.table}" if conn.dialect.name == "postgresql" else ""
        await conn.exec_driver_sql(f"DROP TRIGGER {trigger.name}{on}")
    try:
        yield
    finally:
        async with engine.begin() as conn:
            parts = trigger.sql.split("; ALTER") if conn.dialect.name == "postgresql" else ()
            statements = [parts[0], f"ALTER{parts[1]}"] if parts else [trigger.sql]
            for statement in statements:
                await conn.exec_driver_sql(statement)
