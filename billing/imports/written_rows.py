"""The writing of an import's rows in bulk, and the versions of the rows it has changed."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.entry.bulk import RowBatch, row_batch
from billing.entry.writing import write
from billing.imports.context import ImportContext
from billing.imports.references import chunks
from billing.ledger.versions import VERSIONED, new_version
from models import (
    Client,
    ExternalReference,
    Invoice,
    Payment,
    Row,
    Session,
    Superbill,
    bulk_insert,
)

# The kinds of records whose rows have versions.
KINDS: Mapping[type[Row], tuple[str, ...]] = {
    Client: ("client",),
    Session: ("session",),
    Invoice: ("invoice", "opening_balance"),
    Payment: ("payment",),
    Superbill: ("superbill",),
}


@dataclass
class RowWriter:
    """The writer of the operations that wait in a context. COPY is used where it is allowed.

    The database works on one batch while the next one is made. Code that uses the connection for
    anything else has to call `settle` first.
    """

    conn: AsyncConnection
    context: ImportContext
    copies: bool
    has_written: bool = False
    writing: asyncio.Task[None] | None = None

    @classmethod
    async def of(
        cls, engine: AsyncEngine, conn: AsyncConnection, context: ImportContext
    ) -> "RowWriter":
        return cls(conn, context, not await bulk_insert.is_kept_from(engine, Client))

    async def write(self) -> None:
        """Write the operations that wait, unless nothing will be imported."""
        operations, self.context.operations = self.context.operations, []
        self.context.held_bytes = 0
        if self.context.faults.count or not operations:
            return
        self.has_written = True
        batch = row_batch(operations)
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

    async def stamp_versions(self) -> None:
        """Set the practice's next version on all rows that are new or changed.

        Payments of the practice wait from here to the end of the transaction.
        """
        if not self.has_written:
            return
        practice_id, touched = self.context.facts.id, self.context.touched.rows
        async with new_version(self.conn, practice_id) as version:
            for table in VERSIONED:
                if table in KINDS:
                    await version.set_on(table, table.id.in_(self.entered(KINDS[table])))
                for some in chunks(sorted(touched.get(table, ()))):
                    await version.set_on(table, table.id.in_(some))

    def entered(self, kinds: Sequence[str]) -> Select[str]:
        """Select the rows of the records of these kinds that this import has entered or changed."""
        return select(ExternalReference.row_id).where(
            ExternalReference.practice_id == self.context.facts.id,
            ExternalReference.source == self.context.source,
            ExternalReference.kind.in_(kinds),
            ExternalReference.changed_at == self.context.now,
        )
