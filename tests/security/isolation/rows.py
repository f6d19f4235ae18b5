"""Snapshot of all rows of all tables, to find the changes of a request and undo them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from models import AccessEntry, DataVersion, Row

# Columns that the server writes for any request: uses of tokens, and reads from Stripe.
ITS_OWN = {"last_used_at", "checked_at", "compared_at", "compare_after", "leased_until"}
# The audit log is append-only, and `tests.security.isolation.trying` compares its entries. Versions
# follow the changes of all other tables, those that undo a change too.
LEFT_OUT = {AccessEntry.__tablename__, DataVersion.__tablename__}
TABLES = [table for table in Row.metadata.sorted_tables if table.name not in LEFT_OUT]
# Tables that a permitted mutation may write to.
MOVING = [
    table
    for table in TABLES
    if table.name
    in "client card_setup claim detachment payment payment_method practice_version token".split()
]
Key = tuple[Any, ...]
Found = Mapping[Key, Mapping[str, Any]]


@dataclass(frozen=True)
class Difference:
    """A row that differs from the snapshot. A new row has no `before`, a deleted one no `after`."""

    table: Table
    key: Key
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def row(self) -> Mapping[str, Any]:
        found = self.after or self.before
        assert found is not None
        return found

    def __str__(self) -> str:
        how = "changed" if self.before and self.after else "added" if self.after else "gone"
        return f"{self.table.name} {self.key[-1]} {how}"


class Rows:
    """The rows of a snapshot."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.before: dict[str, Found] = {}

    async def remember(self) -> None:
        self.before = await self.read(TABLES)

    async def read(self, tables: Iterable[Table]) -> dict[str, Found]:
        async with self.engine.connect() as conn:
            return {
                table.name: {
                    tuple(row[column] for column in table.primary_key): {
                        column.name: row[column] for column in table.c if column.name not in ITS_OWN
                    }
                    for row in (await conn.execute(select(table))).mappings()
                }
                for table in tables
            }

    async def differences(self, tables: Iterable[Table] = TABLES) -> list[Difference]:
        tables = list(tables)
        now, found = await self.read(tables), []
        for table in tables:
            before, after = self.before[table.name], now[table.name]
            found += [
                Difference(table, key, before.get(key), after.get(key))
                for key in before.keys() | after.keys()
                if before.get(key) != after.get(key)
            ]
        return found

    async def put_back(self, differences: Iterable[Difference]) -> None:
        """Undo changes.

        New rows are deleted, dependents first. Then changed rows are restored, those that are the
        default now first. Deleted rows are inserted last.
        """
        order = {table.name: place for place, table in enumerate(TABLES)}
        differences = sorted(differences, key=lambda one: order[one.table.name])
        changed = [one for one in differences if one.before and one.after]
        async with self.engine.begin() as conn:
            for one in reversed(differences):
                if one.before is None:
                    await conn.execute(delete(one.table).where(same(one)))
            for one in sorted(changed, key=lambda one: bool(one.row.get("is_default")) is False):
                await conn.execute(
                    update(one.table).where(same(one)).values(dict(one.before or {}))
                )
            for one in differences:
                if one.after is None:
                    await conn.execute(insert(one.table).values(dict(one.before or {})))


def same(difference: Difference) -> Any:
    columns = difference.table.primary_key
    return and_(*(column == part for column, part in zip(columns, difference.key, strict=True)))
