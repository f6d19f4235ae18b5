"""Made-up practices that look lived in: two years of sessions, money and documents.

The same day and seed give the same rows. Nothing here is real: the names are invented, telephone
numbers reach nobody, and mail to example.com goes nowhere.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.demo.cast import People, harbor_lane, kiso_street
from billing.demo.entries import Entered
from models import Row

__all__ = ["Entered", "People", "entries", "load", "rows", "write"]

# Rows held in memory and sent at a time.
BATCH = 5_000


def entries(today: dt.date, seed: int = 1) -> tuple[People, Iterator[Entered]]:
    """Whom the demo is about, and every row in the order in which it could have been written."""
    first, second = harbor_lane(today, seed), kiso_street(today, seed)
    people = People(
        practice_id=first.office.id,
        client_id=first.cast["client"],
        sibling_id=first.cast["sibling"],
        guardian_id=first.cast["guardian"],
        other_practice_id=second.office.id,
        stranger_id=second.cast["stranger"],
    )
    return people, chain(first.entries(), second.entries())


def rows(today: dt.date, seed: int = 1) -> tuple[People, dict[type[Row], list[dict[str, Any]]]]:
    """The rows by table: tables in an order that foreign keys allow, rows in that of writing."""
    people, entered = entries(today, seed)
    return people, by_table(entered)


async def load(engine: AsyncEngine, today: dt.date, seed: int = 1) -> People:
    """Insert the demo into a migrated database, in one transaction."""
    people, entered = entries(today, seed)
    async with engine.begin() as connection:
        while batch := list(islice(entered, BATCH)):
            await write(connection, batch)
    return people


async def write(connection: AsyncConnection, entered: Iterable[Entered]) -> None:
    for row, values in by_table(entered).items():
        await connection.execute(insert(row), values)


def by_table(entered: Iterable[Entered]) -> dict[type[Row], list[dict[str, Any]]]:
    mapped = {mapper.local_table: mapper.class_ for mapper in Row.registry.mappers}
    found: dict[type[Row], list[dict[str, Any]]] = {
        mapped[table]: [] for table in Row.metadata.sorted_tables
    }
    for entry in entered:
        found[entry.row].append(entry.values)
    return {row: values for row, values in found.items() if values}
