"""The writing of an import's rows in bulk, and the versions of the rows it has changed."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.entry.bulk import RowBatch, row_batch
from billing.entry.writing import write
from billing.imports.context import ImportContext
from billing.imports.references import chunks
from billing.ledger.versions import VERSIONED, new_version, version_ahead
from models import Client, bulk_insert


@dataclass
class RowWriter:
    """The writer of the operations that wait in a context. COPY is used where it is allowed.

    The database works on one batch while the next one is made. Code that uses the connection for
    anything else has to call `settle` first.
    """

    conn: AsyncConnection
    context: ImportContext
    copies: bool
    # The version of new rows.
    version: int
    has_written: bool = False
    writing: asyncio.Task[None] | None = None

    @classmethod
    async def of(
        cls, engine: AsyncEngine, conn: AsyncConnection, context: ImportContext
    ) -> "RowWriter":
        copies = not await bulk_insert.is_kept_from(engine, Client)
        return cls(conn, context, copies, await version_ahead(conn, context.facts.id))

    async def write(self) -> None:
        """Write the operations that wait, unless nothing will be imported."""
        operations, self.context.operations = self.context.operations, []
        self.context.held_bytes = 0
        if self.context.faults.count or not operations:
            return
        self.has_written = True
        batch = row_batch(operations)
        for table in VERSIONED:
            for values in batch.rows.get(table, ()):
                values["version"] = self.version
        self.context.touched.add(batch.changes)
        await self.settle()
        self.writing = asyncio.create_task(self.insert(batch))

    async def settle(self) -> None:
        """Wait until the last batch is written."""
        if self.writing is not None:
            writing, self.writing = self.writing, None
            await writing

    async def end(self) -> None:
        """Wait for the last batch of an import that fails for another reason."""
        with suppress(Exception):
            await self.settle()

    async def insert(self, batch: RowBatch) -> None:
        # Changes come first: a session is taken off a void invoice before it is on another one.
        await write(self.conn, batch.changes)
        for table, rows in batch.rows.items():
            insert = bulk_insert.copy if self.copies else bulk_insert.insert_arrays
            await insert(self.conn, table, rows)
        await bulk_insert.plan_anew(self.conn)

    async def stamp_versions(self) -> None:
        """Set the practice's next version on the rows that were changed. New rows have it already.

        Payments of the practice wait from here to the end of the transaction.
        """
        if not self.has_written:
            return
        touched = self.context.touched.rows
        async with new_version(self.conn, self.context.facts.id, self.version) as version:
            for table in VERSIONED:
                for some in chunks(sorted(touched.get(table, ()))):
                    await version.set_on(table, table.id.in_(some))
