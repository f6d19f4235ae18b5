"""Random changes of any table's rows by plain SQL, generated from the models' metadata."""

import datetime as dt
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Date,
    Enum,
    Integer,
    LargeBinary,
    Table,
    Uuid,
    and_,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from identity.tokens import IDLE
from models import Row, Scope
from models.row import Instant

# A version of data that was there before never comes back: it is random. So these rows are not
# changed by hand.
VERSIONS = "data_version"
TABLES = {table.name: table for table in Row.metadata.sorted_tables if table.name != VERSIONS}
# Tables that decide about rights, or that all answers of a practice depend on, are changed more
# often than others.
OFTEN = {"token": 6, "contact_right": 6, "practice": 3, "client": 4, "contact": 2}
# Columns in which no two rows may have the same value.
UNIQUE = ("number", "hash", "stripe_id", "reference", "external_id", "nonce_hash", "fingerprint")
DAY = dt.timedelta(days=1)
SCOPES = [scope.value for scope in Scope]
Values = dict[str, Any]


@dataclass(frozen=True)
class Undo:
    """The row of a table as it was before a change, and its key after it; None for no row."""

    table: str
    before: Values | None
    after: Values | None


class RawWriter:
    """A writer of random statements; `now` is the clock of the servers."""

    def __init__(
        self, engine: AsyncEngine, chance: random.Random, now: Callable[[], dt.datetime]
    ) -> None:
        self.engine, self.chance, self.now = engine, chance, now
        self.undos: list[Undo] = []
        weights = {name: OFTEN.get(name, 1) for name in TABLES}
        self.often = [name for name, weight in weights.items() for _ in range(weight)]

    async def write(self) -> str:
        """Make a random change that no constraint refuses, and return it in words."""
        while True:
            if self.undos and self.chance.random() < 0.45:
                words = await self.undo()
            else:
                kinds = [self.change, self.change, self.change, self.remove, self.copy]
                words = await self.chance.choice([*kinds, self.replace])(
                    self.chance.choice(self.often)
                )
            if words is not None:
                return words

    # -- changes -----------------------------------------------------------------------------------

    async def change(self, name: str) -> str | None:
        """Change a column of a row."""
        row, other = await self.any_rows(TABLES[name])
        column = self.chance.choice(written(TABLES[name]))
        return await self.change_column(column, row, other) if row and other else None

    async def change_column(self, column: Column[Any], row: Values, other: Values) -> str | None:
        """Change a column of a row, perhaps to the value of another row."""
        table = TABLES[column.table.name]
        value = self.another(column, row[column.name], other[column.name])
        if value == row[column.name]:
            return None
        after = row | {column.name: value}
        if not await self.run(update(table).where(same(table, row)).values({column.name: value})):
            return None
        self.undos.append(Undo(table.name, row, after))
        return f"{column}: {row[column.name]!r} → {value!r} of {key_of(table, row)}"

    async def remove(self, name: str, row: Values | None = None) -> str | None:
        table = TABLES[name]
        row = row or (await self.any_rows(table))[0]
        if row is None or not await self.run(delete(table).where(same(table, row))):
            return None
        self.undos.append(Undo(name, row, None))
        return f"{name}: {key_of(table, row)} deleted"

    async def copy(
        self, name: str, row: Values | None = None, other: Values | None = None
    ) -> str | None:
        """Insert a row like another one, with a key of its own, and perhaps of another client."""
        table = TABLES[name]
        if row is None:
            row, other = await self.any_rows(table)
        if row is None or other is None:
            return None
        made = self.fresh(table, row, other)
        if not await self.run(insert(table).values(made)):
            return None
        self.undos.append(Undo(name, None, made))
        return f"{name}: {key_of(table, made)} inserted"

    async def replace(
        self, name: str, row: Values | None = None, other: Values | None = None
    ) -> str | None:
        """Put a row of another client in the place of a row, which fires no trigger for DELETE."""
        table = TABLES[name]
        if row is None:
            row, other = await self.any_rows(table)
        if row is None or other is None or self.engine.dialect.name != "sqlite":
            return None
        made = settable(table, row)
        if "client_id" in made and not table.c.client_id.primary_key:
            made["client_id"] = other["client_id"]
        statement = insert(table).prefix_with("OR REPLACE").values(made)
        # Rows that refer to the replaced one refer to the new one at the end.
        if not await self.run(text("PRAGMA defer_foreign_keys = ON"), statement):
            return None
        self.undos.append(Undo(name, row, made))
        return f"{name}: {key_of(table, row)} replaced"

    async def undo(self) -> str | None:
        """Take back one of the last changes."""
        one = self.undos.pop(self.chance.randrange(max(0, len(self.undos) - 4), len(self.undos)))
        table = TABLES[one.table]
        if one.after is None:
            assert one.before is not None
            statement: Any = insert(table).values(settable(table, one.before))
        elif one.before is None:
            statement = delete(table).where(same(table, one.after))
        else:
            back = settable(table, one.before)
            statement = update(table).where(same(table, one.after)).values(back)
        if not await self.run(statement):
            return None
        return f"{one.table}: {key_of(table, one.after or one.before)} as before"

    async def run(self, *statements: Any, changes: bool = True) -> bool:
        """Run statements in a transaction; return whether the last one changed a row, or with
        `changes=False` whether it was accepted.
        """
        try:
            async with self.engine.begin() as conn:
                for statement in statements:
                    result = await conn.execute(statement)
                return bool(result.rowcount) or not changes
        except (DBAPIError, StatementError):
            return False

    # -- values ------------------------------------------------------------------------------------

    async def any_rows(self, table: Table) -> tuple[Values | None, Values | None]:
        async with self.engine.connect() as conn:
            return await self.any_row(conn, table), await self.any_row(conn, table)

    async def any_row(self, conn: AsyncConnection, table: Table) -> Values | None:
        count = int(await conn.scalar(select(func.count()).select_from(table)) or 0)
        if not count:
            return None
        some = select(table).order_by(*table.primary_key).limit(1)
        row = (await conn.execute(some.offset(self.chance.randrange(count)))).one()
        return dict(row._mapping)

    def another(self, column: Column[Any], value: Any, other: Any) -> Any:
        """Return another value for a column; `other` is the value of another row."""
        draws = self.directed(column)
        if draws and self.chance.random() < 0.8:
            return self.chance.choice(draws)
        if column.nullable and value is not None and self.chance.random() < 0.2:
            return None
        if other != value and self.chance.random() < 0.6:
            return other
        return self.mutated(column, value if value is not None else other)

    def directed(self, column: Column[Any]) -> Sequence[Any]:
        """Return values that change what a viewer may do, or what day it is."""
        now = self.now()
        today = now.date()
        values: Mapping[str, Sequence[Any]] = {
            "token.scopes": [self.chance.sample(SCOPES, count) for count in range(len(SCOPES) + 1)],
            "token.expires_at": [now - DAY, now, now + dt.timedelta(seconds=90), now + 90 * DAY],
            "token.revoked_at": [None, None, now, now - DAY],
            "token.last_used_at": [now, now - IDLE, now - IDLE + dt.timedelta(seconds=90), None],
            "contact_right.until": [None, today - DAY, today, today + DAY],
            "practice.time_zone": ["America/New_York", "Asia/Tokyo", "Pacific/Kiritimati"],
            "practice.currency": ["USD", "USD", "JPY", "KWD"],
            "practice.locale": ["en-US", "de-DE", "ja-JP"],
            "practice.name": ["Harbor", "Quay"],
            "practice.stripe_account": [None, "acct_sandbox_USD"],
        }
        return values.get(f"{column.table.name}.{column.name}", ())

    def mutated(self, column: Column[Any], value: Any) -> Any:
        """Return a value of the column's type that differs a little."""
        type_ = column.type
        if isinstance(type_, Enum):
            return self.chance.choice(type_.enums)
        if isinstance(type_, Uuid) or value is None or isinstance(type_, JSON):
            return value
        if isinstance(type_, LargeBinary):
            return value + b"x"
        if isinstance(value, bool):
            return not value
        if isinstance(type_, Instant):
            return value + self.chance.choice([-1, 1]) * dt.timedelta(minutes=1)
        if isinstance(type_, Date):
            return value + self.chance.choice([-1, 1]) * DAY
        if isinstance(type_, Integer):
            return value + self.chance.choice([-1, 1, 100])
        return f"x{value}" if isinstance(value, str) else value

    def fresh(self, table: Table, row: Values, other: Values) -> Values:
        """Return a new row like another one."""
        made = settable(table, row)
        for name in made:
            if name == "client_id" and self.chance.random() < 0.5:
                made[name] = other[name]
            if name == "id" or (name in UNIQUE and made[name] is not None):
                made[name] = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
            if name in ("serial", "position"):
                made[name] = self.chance.randrange(10**5, 10**6)
        keys = {column.name for column in table.primary_key} - {"practice_id"}
        if keys and not keys & {"id", "serial", "position", *UNIQUE}:
            # A key of references, such as a contact and a client.
            name = self.chance.choice(sorted(keys))
            made[name] = other[name]
        return made


def written(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if column.computed is None]


def settable(table: Table, row: Values) -> Values:
    return {column.name: row[column.name] for column in written(table)}


def same(table: Table, row: Values) -> Any:
    return and_(*(column == row[column.name] for column in table.primary_key))


def key_of(table: Table, row: Values | None) -> str:
    return ", ".join(str((row or {})[column.name]) for column in table.primary_key)
