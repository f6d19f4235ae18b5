"""A function that writes an invented practice into a database, completely or not at all."""

from collections import Counter
from collections.abc import Callable
from itertools import islice

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.entry.bulk import row_batch
from billing.entry.writing import write
from demo.many import PracticePlan, practice_entries
from models import Client, bulk_insert

# The number of rows held in memory and sent at a time.
BATCH = 20_000


async def fill_practice(
    engine: AsyncEngine, plan: PracticePlan, told: Callable[[int], None]
) -> Counter[str]:
    """Write a practice, and return the number of rows of each table.

    `told` is called with numbers of new clients. The first practice has to be filled before any
    other: PostgreSQL caches its plans for foreign key checks, and plans that are made without
    statistics read all rows of the practice.
    """
    entered, counted = practice_entries(plan), Counter[str]()
    needs_statistics = plan.number == 0
    async with engine.begin() as conn:
        await bulk_insert.trust_foreign_keys(conn)
        while batch := list(islice(entered, BATCH)):
            rows = row_batch(each.operation for each in batch)
            await write(conn, rows.changes)
            for row, values in rows.rows.items():
                await bulk_insert.copy(conn, row, values)
                counted[row.__tablename__] += len(values)
            if needs_statistics:
                await conn.execute(text("ANALYZE"))
                needs_statistics = False
            told(len(rows.rows.get(Client, ())))
    return counted


async def update_statistics(engine: AsyncEngine) -> None:
    """Update the statistics of the database's planner."""
    async with engine.begin() as conn:
        await conn.execute(text("ANALYZE"))
