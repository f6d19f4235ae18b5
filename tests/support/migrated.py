"""Comparison of the migrated schema with that of the mapped classes, run as a program by a test.

The tables of one empty database are migrated, with rows in them; those of the other are created.
"""

import asyncio
import sys

from models import Row, database, migrations
from tests.database.test_migrations import schema


async def differences(migrated: str, described: str) -> list[str]:
    async with database.open_engine(migrated) as engine, database.open_engine(described) as other:
        async with other.begin() as conn:
            await conn.run_sync(Row.metadata.create_all)
        await migrations.upgrade(engine, "0001")
        before = await schema(engine)
        async with engine.begin() as conn:
            await conn.exec_driver_sql(PRACTICE)
        await migrations.upgrade(engine)
        found = told("up", await schema(engine), await schema(other))
        await migrations.downgrade(engine, "0001")
        return found + told("down", await schema(engine), before)


def told(way: str, there: set[str], expected: set[str]) -> list[str]:
    lines = [f"{way}, too much: {line}" for line in sorted(there - expected)]
    return lines + [f"{way}, missing: {line}" for line in sorted(expected - there)]


PRACTICE = (
    "INSERT INTO practice (id, name, time_zone, currency, locale, clients_remove_cards) VALUES"
    " ('00000000-0000-4000-8000-000000000001', 'Harbor', 'UTC', 'USD', 'en-US', '0')"
)

if __name__ == "__main__":
    lines = asyncio.run(differences(*sys.argv[1:]))
    sys.stdout.write("\n".join(lines))
    sys.exit(len(lines) > 0)
