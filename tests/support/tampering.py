"""Random changes of append-only rows, made with the rights of the tables' owner."""

import datetime as dt
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Enum,
    Table,
    TypeDecorator,
    Uuid,
    and_,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Row
from models.ids import new_id

LINKS = "chain_link"


@dataclass(frozen=True)
class Tampering:
    """A change that was made, in words, and the subjects that name its row."""

    words: str
    subjects: frozenset[str]


class Tamperer:
    """A generator of changes of some tables. A change that a constraint refuses is drawn again."""

    def __init__(self, conn: AsyncConnection, seed: object, tables: Sequence[type[Row]]) -> None:
        self.conn, self.random = conn, random.Random(f"{seed}")
        self.tables: list[Any] = [table.__table__ for table in tables]
        self.links = next(table for table in self.tables if table.name == LINKS)

    async def change(self) -> Tampering:
        """Make one change."""
        kinds: Sequence[Callable[[], Any]] = (self.alter, self.alter, self.remove, self.insert)
        while True:
            made = self.random.choice((*kinds, self.reorder))
            try:
                async with self.conn.begin_nested():
                    done: Tampering | None = await made()
                    await self.conn.exec_driver_sql("SELECT 1")
            except DBAPIError:
                continue
            if done is not None:
                return done

    async def alter(self) -> Tampering | None:
        """Change one column of one row."""
        table, row = await self.any_row()
        column: Column[Any] = self.random.choice([*table.columns])
        value = self.another(column, row[column.name])
        if value == row[column.name]:
            return None
        await self.conn.execute(update(table).where(same(table, row)).values({column: value}))
        after = row | {column.name: value}
        return Tampering(
            f"{table.name}.{column.name} of {row}", subjects(table, row) | subjects(table, after)
        )

    async def remove(self) -> Tampering:
        table, row = await self.any_row()
        await self.conn.execute(delete(table).where(same(table, row)))
        return Tampering(f"{row} of {table.name} deleted", subjects(table, row))

    async def insert(self) -> Tampering:
        """Insert a row like another one, with a key of its own."""
        table, row = await self.any_row()
        fresh = {
            "id": new_id(),
            "document_id": new_id(),
            "reference": new_id(),
            "serial": self.random.randint(1_000, 9_999),
            "position": await self.length(row) + 1 if table is self.links else None,
        }
        copy = row | {name: value for name, value in fresh.items() if name in row}
        await self.conn.execute(insert(table).values(copy))
        return Tampering(f"{copy} of {table.name} inserted", subjects(table, copy))

    async def reorder(self) -> Tampering | None:
        """Exchange the places of two links of one client, or the keys of two rows."""
        table, first = await self.any_row()
        name = "position" if table is self.links else [*table.primary_key.columns.keys()][-1]
        rows = [row for row in await self.rows(table) if row["client_id"] == first["client_id"]]
        second = self.random.choice(rows)
        if first[name] == second[name] or not isinstance(first[name], str | int):
            return None
        spare = 10_000 if isinstance(first[name], int) else new_id()
        for row, value in ((first, spare), (second, first[name]), (first, second[name])):
            where = same(table, row if value != second[name] else first | {name: spare})
            await self.conn.execute(update(table).where(where).values({name: value}))
        return Tampering(
            f"{name} of {first} and {second} exchanged",
            subjects(table, first) | subjects(table, second),
        )

    # -- rows --------------------------------------------------------------------------------------

    async def any_row(self) -> tuple[Table, dict[str, Any]]:
        table: Table = self.random.choice(self.tables)
        return table, self.random.choice(await self.rows(table))

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        order = [*table.primary_key.columns]
        found = await self.conn.execute(select(table).order_by(*order))
        return [dict(row._mapping) for row in found]

    async def length(self, row: dict[str, Any]) -> int:
        links = await self.rows(self.links)
        return sum(link["client_id"] == row["client_id"] for link in links)

    def another(self, column: Column[Any], value: Any) -> Any:
        """Return a value that the column might have as well, and sometimes none."""
        if column.nullable and value is not None and self.random.random() < 0.3:
            return None
        if isinstance(column.type, Enum):
            return self.random.choice(column.type.enums)
        if isinstance(column.type, Uuid):
            return new_id()
        inner = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
        assert not isinstance(inner, JSON)
        kind = inner.python_type
        if kind is bool:
            return not value
        if kind is int:
            return (value or 0) + self.random.choice((-1, 1, 100))
        if kind is bytes:
            return bytes([value[0] ^ 1]) + value[1:]
        if kind is dt.datetime:
            return value + dt.timedelta(microseconds=1)
        if kind is dt.date:
            return value + dt.timedelta(days=1)
        return f"{value or ''}x"


def same(table: Table, row: dict[str, Any]) -> ColumnElement[bool]:
    return and_(*(column == row[column.name] for column in table.primary_key))


def subjects(table: Table, row: dict[str, Any]) -> frozenset[str]:
    """Return the subjects of differences that name a row."""
    if table.name == LINKS:
        return frozenset(
            {f"{LINKS} {row['position']}", f"{str(row['table_name']).lower()} {row['row_key']}"}
        )
    names = [column.name for column in table.primary_key if column.name != "practice_id"]
    parts = [str(row[name]) for name in names]
    key = "/".join(part.lower() if part in ("True", "False") else part for part in parts)
    return frozenset({f"{table.name} {key}"})
