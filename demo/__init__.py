"""Invented practices with realistic data: two years of sessions, payments and documents.

The same date and seed give the same rows. All data is fictitious: the names are invented, the
telephone numbers belong to no one, and mail to example.com is not delivered.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.entry.bulk import row_batch
from billing.entry.writing import write
from demo.cast import People, harbor_lane, kiso_street
from demo.entries import Entered
from models import Row

__all__ = ["Entered", "People", "demo_rows", "entries", "load", "write_batch"]

# The number of rows held in memory and sent at a time.
BATCH = 5_000


def entries(today: dt.date, seed: int = 1) -> tuple[People, Iterator[Entered]]:
    """Return the demo's people, and every row in the order in which it could have been written."""
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


def demo_rows(
    today: dt.date, seed: int = 1
) -> tuple[People, dict[type[Row], list[dict[str, Any]]]]:
    """Return the rows by table, in an order that foreign keys allow."""
    people, entered = entries(today, seed)
    return people, by_table(entered)


async def load(engine: AsyncEngine, today: dt.date, seed: int = 1) -> People:
    """Insert the demo into a migrated database, in one transaction."""
    people, entered = entries(today, seed)
    async with engine.begin() as conn:
        while batch := list(islice(entered, BATCH)):
            await write_batch(conn, batch)
    return people


async def write_batch(conn: AsyncConnection, entered: Sequence[Entered]) -> None:
    batch = row_batch(each.operation for each in entered)
    await write(conn, batch.changes)
    for row, values in batch.rows.items():
        await conn.execute(insert(row), values)


def by_table(entered: Iterable[Entered]) -> dict[type[Row], list[dict[str, Any]]]:
    """Return the rows of a whole practice, with all changes applied."""
    return row_batch(each.operation for each in entered).rows
