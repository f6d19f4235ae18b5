"""Sweep over a table: each change of a row that the reads show, one after another."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Table, insert, select, text

from tests.answers.raw_writes import TABLES, RawWriter, Values, settable, written
from tests.answers.servers import Judge
from tests.answers.world import World

# Values of a column that are tried until the database takes one.
TRIES = 8
UPDATE, INSERT, DELETE, TRUNCATE = "UPDATE", "INSERT", "DELETE", "TRUNCATE"
EVENTS = (UPDATE, INSERT, DELETE, TRUNCATE)


class Sweep:
    """The changes of one table. Each is compared when it is made, and when it is taken back."""

    def __init__(self, world: World, judge: Judge, writer: RawWriter, name: str) -> None:
        self.world, self.judge, self.writer = world, judge, writer
        self.table: Table = TABLES[name]
        # The changes that were made, and those that some answer shows.
        self.made, self.told = 0, 0

    async def run(self, *events: str) -> None:
        """Make the changes of these kinds."""
        rows = await self.rows()
        if not rows:
            return
        await self.judge.check_all(self.world.wide)
        if UPDATE in events:
            for row in [one for one in rows if one.get("id") in self.world.filled] or rows[:1]:
                await self.change_columns(row, rows)
        if INSERT in events or DELETE in events:
            await self.add_and_remove(rows)
            await self.replace(rows)
        if TRUNCATE in events:
            await self.empty(rows)

    async def change_columns(self, row: Values, rows: Sequence[Values]) -> None:
        """Change each column of a row."""
        for column in written(self.table):
            for _ in range(TRIES):
                other = self.writer.chance.choice(rows)
                if words := await self.writer.change_column(column, row, other):
                    await self.compare(words)
                    break

    async def add_and_remove(self, rows: Sequence[Values]) -> None:
        """Add a row like one that is shown, and remove a row; both are taken back."""
        for row in rows[:TRIES]:
            if words := await self.writer.copy(self.table.name, row, row):
                await self.compare(words)
                break
        for row in rows:
            if words := await self.writer.remove(self.table.name, row):
                await self.compare(words)
                break

    async def replace(self, rows: Sequence[Values]) -> None:
        """Put a row of another client in the place of one that is shown."""
        others = [row for row in rows if row.get("client_id") != rows[0].get("client_id")]
        for other in others:
            if words := await self.writer.replace(self.table.name, rows[0], other):
                await self.compare(words)
                break

    async def empty(self, rows: Sequence[Values]) -> None:
        """Remove all rows at once, if no other table refers to them, and insert them again."""
        if await self.writer.run(text(f"TRUNCATE {self.table.name}"), changes=False):
            self.judge.note(f"{self.table.name} emptied")
            try:
                await self.judge.check_all(self.world.wide)
            finally:
                again = [settable(self.table, row) for row in rows]
                assert await self.writer.run(insert(self.table).values(again))

    async def compare(self, words: str) -> None:
        """Compare all reads after a change, and again after it was taken back."""
        self.made += 1
        self.judge.note(words)
        before = self.judge.told["changed"]
        await self.judge.check_all(self.world.wide)
        self.told += self.judge.told["changed"] > before
        words_back = await self.writer.undo()
        assert words_back is not None, words
        self.judge.note(words_back)
        await self.judge.check_all(self.world.wide)

    async def rows(self) -> list[Values]:
        """Return the table's rows, those that the reads show first."""
        async with self.writer.engine.connect() as conn:
            found = await conn.execute(select(self.table).order_by(*self.table.primary_key))
            rows = [dict(row._mapping) for row in found]
        return sorted(rows, key=lambda row: -sum(1 for _ in self.shown(row)))

    def shown(self, row: Values) -> Iterator[Any]:
        return (one for one in row.values() if isinstance(one, str) and one in self.world.filled)
