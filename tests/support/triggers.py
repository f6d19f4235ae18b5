"""The triggers of a test's database: taken away to plant a fault, or added to watch changes."""

from collections import Counter

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.database import open_engine
from tests.support import postgres

# The tables with a column `state`.
STATEFUL = ("payment", "refund", "dispute", "card_setup")


async def remove_triggers(database: AsyncEngine, *tables: str) -> None:
    """Remove the triggers that guard the states of tables, as only the tables' owner can."""
    url = postgres.as_owner(database.url.render_as_string(hide_password=False))
    async with open_engine(url) as owner, owner.begin() as conn:
        await drop_triggers(conn, *tables)


async def drop_triggers(conn: AsyncConnection, *tables: str) -> None:
    for table in tables:
        of_table = f" ON {table}" if conn.dialect.name == "postgresql" else ""
        await conn.execute(text(f"DROP TRIGGER {table}_transitions{of_table}"))


async def fire_deferred(conn: AsyncConnection) -> None:
    """Fire the triggers of PostgreSQL that wait for the end of the transaction."""
    if conn.dialect.name == "postgresql":
        await conn.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        await conn.execute(text("SET CONSTRAINTS ALL DEFERRED"))


async def watch_transitions(engine: AsyncEngine) -> None:
    """Have a database of SQLite record each change of a state."""
    async with engine.begin() as conn:
        await conn.execute(text("CREATE TABLE seen (name TEXT, before TEXT, after TEXT)"))
        for table in STATEFUL:
            record = f"INSERT INTO seen VALUES ('{table}', OLD.state, NEW.state)"  # noqa: S608 - names
            when = f"AFTER UPDATE OF state ON {table} WHEN OLD.state <> NEW.state"
            await conn.execute(text(f"CREATE TRIGGER {table}_seen {when} BEGIN {record}; END"))


async def seen_transitions(engine: AsyncEngine) -> Counter[tuple[str, str, str]]:
    """Return the recorded changes: table, state before and state after."""
    async with engine.connect() as conn:
        rows = await conn.execute(text("SELECT name, before, after FROM seen"))
        return Counter((row.name, row.before, row.after) for row in rows)
