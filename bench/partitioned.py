"""The tables divided by practice: `python -m bench.partitioned`.

Every table with rows of practices is made again, hash-partitioned by the practice, in an empty
database. PostgreSQL itself says which keys it can't have then. A statement is explained there: the
partitions that its plan scans are the shards that a distributed PostgreSQL would ask.
"""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import Table

from models import Row
from models.row_security import confined, grants, is_practice, policy
from tests.support import postgres
from tests.support.empty_databases import prepare

PARTITIONS = 4
# The schema in which the divided tables are made first.
BUILDING = "dividing"
INDEXES = """
SELECT pg_get_indexdef(indexrelid) AS made, c.conname AS name, pg_get_constraintdef(c.oid) AS key
FROM pg_index LEFT JOIN pg_constraint AS c ON conindid = indexrelid AND contype IN ('p', 'u')
WHERE indrelid = $1::regclass ORDER BY indexrelid
"""
REFERENCES = """
SELECT conname AS name, pg_get_constraintdef(oid) AS key FROM pg_constraint
WHERE conrelid = $1::regclass AND contype = 'f' ORDER BY conname
"""
TRIGGERS = """
SELECT pg_get_triggerdef(oid) AS made, tgname AS name, tgenabled = 'A' AS is_always FROM pg_trigger
WHERE tgrelid = $1::regclass AND NOT tgisinternal ORDER BY tgname
"""
PARTITION = re.compile(r"(\w+)_part_(\d+)")


@dataclass(frozen=True)
class Division:
    """A table divided by practice, and the keys that it can't have then."""

    table: str
    refused: tuple[str, ...]


def practice_column(table: Table) -> str:
    """Return the column by which a table is divided."""
    return next(column.name for column in table.columns if is_practice(table.name, column))


async def divide(owner_url: str, role: str) -> list[Division]:
    """Divide all tables of practices in a migrated database without rows, as their owner."""
    conn = await asyncpg.connect(owner_url)
    try:
        async with conn.transaction():
            return await divide_tables(conn, role)
    finally:
        await conn.close()


async def divide_tables(conn: Any, role: str) -> list[Division]:
    tables = confined(Row.metadata)
    found = {query: {table.name: await conn.fetch(query, table.name) for table in tables}
             for query in (INDEXES, REFERENCES, TRIGGERS)}  # fmt: skip
    outside = [table.name for table in Row.metadata.sorted_tables if table not in tables]
    # Tables of no practice may refer to one.
    referring = {name: await conn.fetch(REFERENCES, name) for name in outside}
    await conn.execute(f"CREATE SCHEMA {BUILDING}")
    for table in tables:
        await make_partitions(conn, table)
    await conn.execute(f"DROP TABLE {', '.join(table.name for table in tables)} CASCADE")
    for table in tables:
        for name in (table.name, *map(f"{table.name}_part_{{}}".format, range(PARTITIONS))):
            await conn.execute(f"ALTER TABLE {BUILDING}.{name} SET SCHEMA public")
    await conn.execute(f"DROP SCHEMA {BUILDING}")
    divisions = [await add_keys(conn, table.name, found[INDEXES][table.name]) for table in tables]
    for name, keys in (found[REFERENCES] | referring).items():
        for row in keys:
            await conn.execute(f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {row['name']}")
            await conn.execute(f"ALTER TABLE {name} ADD CONSTRAINT {row['name']} {row['key']}")
    for table in tables:
        for row in found[TRIGGERS][table.name]:
            await conn.execute(row["made"])
            if row["is_always"]:
                always = f"ALTER TABLE {table.name} ENABLE ALWAYS TRIGGER {row['name']}"
                await conn.execute(always)
        for statement in policy(table.name, table.columns):
            await conn.execute(statement)
    for statement in grants(Row.metadata, role):
        await conn.execute(statement)
    return divisions


async def make_partitions(conn: Any, table: Table) -> None:
    """Make an empty table like another one, divided by practice and without keys."""
    name = f"{BUILDING}.{table.name}"
    column = practice_column(table)
    await conn.execute(
        f"CREATE TABLE {name} (LIKE public.{table.name} INCLUDING ALL EXCLUDING INDEXES)"
        f" PARTITION BY HASH ({column})"
    )
    for remainder in range(PARTITIONS):
        await conn.execute(
            f"CREATE TABLE {name}_part_{remainder} PARTITION OF {name}"
            f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
        )


async def add_keys(conn: Any, table: str, indexes: Sequence[Any]) -> Division:
    """Add the keys and indexes that a table had; those that it can't have are returned."""
    refused = []
    for row in indexes:
        statement = (
            f"ALTER TABLE {table} ADD CONSTRAINT {row['name']} {row['key']}"
            if row["key"]
            else row["made"]
        )
        try:
            async with conn.transaction():
                await conn.execute(statement)
        except asyncpg.FeatureNotSupportedError:
            refused.append(row["key"] or row["made"].partition(" USING btree ")[2])
    return Division(table, tuple(refused))


# -- statements ------------------------------------------------------------------------------------


async def partitions_of(conn: Any, sql: str, values: Sequence[Any]) -> Mapping[str, set[int]]:
    """Return the partitions that a statement's plan scans or changes, by table."""
    return partitions_in(json.loads(await conn.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *values)))


def partitions_in(explained: Any) -> Mapping[str, set[int]]:
    """Return the partitions in PostgreSQL's explanation of a statement."""
    (plan,) = explained
    found: defaultdict[str, set[int]] = defaultdict(set)
    collect(plan["Plan"], found)
    return found


def collect(node: Mapping[str, Any], found: defaultdict[str, set[int]]) -> None:
    """Add the partitions that a node of a plan and the nodes below it name."""
    for each in (node, *node.get("Target Tables", ())):
        if match := PARTITION.fullmatch(each.get("Relation Name", "")):
            found[match[1]].add(int(match[2]))
    for child in node.get("Plans", ()):
        collect(child, found)


# -- the command -----------------------------------------------------------------------------------


async def main() -> None:
    """Divide the tables of an empty database, and tell what PostgreSQL refuses, for each table."""
    with postgres.server(fast=True) as server_url:
        if server_url is None:
            raise SystemExit(postgres.HOW_TO_GET)
        async with postgres.database(server_url) as url:
            await prepare(url)
            divisions = await divide(postgres.as_owner(url), postgres.SERVING)
    unchanged = [one.table for one in divisions if not one.refused]
    divided = {one.table for one in divisions}
    whole = [t.name for t in Row.metadata.sorted_tables if t.name not in divided]
    print(f"Divided by practice without a change ({len(unchanged)}): {', '.join(unchanged)}.")
    for one in divisions:
        for key in one.refused:
            print(f"Divided without a key: {one.table} {key}")
    print(f"Not of a practice ({len(whole)}): {', '.join(whole)}.")


if __name__ == "__main__":
    asyncio.run(main())
