"""A made-up practice written into a database, whole or not at all."""

from collections import Counter
from collections.abc import Callable
from itertools import islice

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.demo import by_table
from billing.demo.many import Plan, entries
from models import Client, copying

# Rows held in memory and sent at a time.
BATCH = 20_000


async def fill(engine: AsyncEngine, plan: Plan, told: Callable[[int], None]) -> Counter[str]:
    """How many rows each table got. `told` hears of new clients, so many at a time.

    The first practice is to be filled before any other. PostgreSQL keeps its plans for looking up
    what foreign keys name, and made without statistics they read all rows of the practice.
    """
    entered, counted = entries(plan), Counter[str]()
    needs_statistics = plan.number == 0
    async with engine.begin() as connection:
        await copying.trust_foreign_keys(connection)
        while batch := list(islice(entered, BATCH)):
            tables = by_table(batch)
            for row, values in tables.items():
                await copying.copy(connection, row, values)
                counted[row.__tablename__] += len(values)
            if needs_statistics:
                await connection.execute(text("ANALYZE"))
                needs_statistics = False
            told(len(tables.get(Client, ())))
    return counted


async def finish(engine: AsyncEngine) -> None:
    """Tell the database's planner what is in the tables now."""
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE"))
