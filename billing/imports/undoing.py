"""The undoing of an import, as long as nothing was built on it.

The ledger is append only, and the server's role in the database may not delete its rows. So an
import is undone by new entries: its invoices are voided, and its payments, credits and adjustments
are reversed. The numbers stay used. People, sessions and cards stay too, and the next import finds
them. The other records are forgotten: they can be imported again, also with other values.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.audit_log import Actor
from billing.entry.practice_facts import read_practice_facts
from billing.entry.rows import Draft, Insertion, Stamp
from billing.imports.accounts import Accounts
from billing.imports.client_undoing import ClientUndoing, NotUndone
from billing.imports.context import ImportContext
from billing.imports.faults import Faults
from billing.imports.importing import lock_imports
from billing.imports.references import UNDONE, chunks, undone_kind
from billing.imports.staging import Staging
from billing.imports.written_rows import RowWriter
from billing.payments.context import local_day
from models import (
    AccessAction,
    AccessEntry,
    ChainedTable,
    ChainLink,
    ExternalReference,
    PastImport,
    Statement,
    Superbill,
)
from models.ids import uuid7

CLIENTS_TOGETHER = 100
# The kinds of records of money that are forgotten, but for invoices.
FORGOTTEN = ("void", "payment", "allocation", "refund", "credit", "adjustment", "opening_balance")
# A statement has no time of its own: its id has. One import takes its ids from one moment.
AFTER = dt.timedelta(seconds=1)
BUILT_ON = (
    "Later entries of {count} clients build on this import: it can't be undone any more. Correct"
    " its records by new entries."
)


@dataclass
class UndoReport:
    """The numbers of clients, invoices and payments whose entries were reversed."""

    clients: int = 0
    invoices: int = 0
    payments: int = 0


async def undo_import(
    engine: AsyncEngine, import_id: str, actor_of: Callable[[str], Actor], now: dt.datetime
) -> UndoReport:
    """Undo an import in one transaction. Raise NotUndone if that is not possible.

    `actor_of` returns the actor for the practice of the import.
    """
    staging = Staging()
    try:
        async with engine.connect() as conn:
            past = await find_import(conn, import_id)
            await lock_imports(conn, past.practice_id)
            undoing = await Undoing.of(engine, conn, past, staging, actor_of(past.practice_id), now)
            await undoing.run()
            await conn.commit()
            return undoing.report
    finally:
        staging.close()


async def find_import(conn: AsyncConnection, import_id: str) -> Row[Any]:
    """Return an import that was not undone before."""
    statement = select(PastImport.__table__).where(PastImport.id == import_id)
    past = (await conn.execute(statement)).first()
    if past is None:
        raise NotUndone("There is no such import.")
    if past.undone_at is not None:
        raise NotUndone("The import was undone before.")
    return past


@dataclass
class Undoing:
    """The undoing of one import, a few clients at a time."""

    conn: AsyncConnection
    past: Row[Any]
    context: ImportContext
    writer: RowWriter
    actor: Actor
    invoices: set[str] = field(default_factory=set)
    report: UndoReport = field(default_factory=UndoReport)

    @classmethod
    async def of(
        cls,
        engine: AsyncEngine,
        conn: AsyncConnection,
        past: Row[Any],
        staging: Staging,
        actor: Actor,
        now: dt.datetime,
    ) -> "Undoing":
        facts = await read_practice_facts(conn, past.practice_id)
        today = local_day(now, facts.time_zone)
        context = ImportContext(
            facts, staging, Faults(), past.source, now, today, {}, True, False, {}
        )
        return cls(conn, past, context, await RowWriter.of(engine, conn, context), actor)

    async def run(self) -> None:
        try:
            for some in chunks(await self.clients(), CLIENTS_TOGETHER):
                await self.undo_clients(some)
            await self.hide_documents()
            await self.writer.write()
            await self.writer.settle()
        finally:
            await self.writer.end()
        await self.forget_records()
        await self.writer.stamp_versions()
        own = PastImport.practice_id == self.past.practice_id, PastImport.id == self.past.id
        await self.conn.execute(update(PastImport).where(*own).values(undone_at=self.context.now))

    # -- the rows of the import --------------------------------------------------------------------

    def links(self, *conditions: Any) -> tuple[Any, ...]:
        return ChainLink.practice_id == self.past.practice_id, *conditions

    async def clients(self) -> Sequence[str]:
        """Return the clients with rows of the import, in the order of their locks."""
        found = select(ChainLink.client_id).distinct().order_by(ChainLink.client_id)
        at = ChainLink.added_at == self.past.imported_at
        return list(await self.conn.scalars(found.where(*self.links(at))))

    async def keys(self, table: ChainedTable, clients: Sequence[str]) -> Mapping[str, set[str]]:
        """Return the keys of the import's rows in a table, by client."""
        found: dict[str, set[str]] = defaultdict(set)
        statement = select(ChainLink.client_id, ChainLink.row_key).where(
            *self.links(
                ChainLink.client_id.in_(clients),
                ChainLink.table_name == table,
                ChainLink.added_at == self.past.imported_at,
            )
        )
        for row in await self.conn.execute(statement):
            found[row.client_id].add(row.row_key)
        return found

    async def refuse_built_on(self, clients: Sequence[str]) -> None:
        """Refuse if there are later entries or statements of the clients, which are locked."""
        entries = select(func.count(ChainLink.client_id.distinct())).where(
            *self.links(
                ChainLink.client_id.in_(clients),
                ChainLink.table_name != ChainedTable.PRINTED_DOCUMENT,
                ChainLink.added_at > self.past.imported_at,
            )
        )
        later = round((self.past.imported_at + AFTER).timestamp() * 1_000)
        statements = select(func.count(Statement.client_id.distinct())).where(
            Statement.practice_id == self.past.practice_id,
            Statement.client_id.in_(clients),
            Statement.id > uuid7(later, 0),
        )
        for statement in (entries, statements):
            count = await self.conn.scalar(statement)
            if count:
                raise NotUndone(BUILT_ON.format(count=count))

    # -- reversals ---------------------------------------------------------------------------------

    async def undo_clients(self, clients: Sequence[str]) -> None:
        await self.writer.settle()
        facts, at = self.context.facts, self.context.now
        accounts = await Accounts.read(self.conn, facts, clients, with_documents=False)
        if accounts.paying:
            raise NotUndone("A client is paying now: undo the import after that.")
        await self.refuse_built_on(clients)
        keys = await self.keys(ChainedTable.LEDGER_ENTRY, clients)
        for client_id in clients:
            undone = ClientUndoing(self.context, accounts.of(client_id), keys[client_id])
            undone.undo()
            self.invoices |= undone.invoices
            self.report.clients += undone.is_changed
            self.report.invoices += len(undone.invoices)
            self.report.payments += undone.payments
            entry = self.actor.entry(at, client_id, AccessAction.CHANGE)
            self.context.operations.append(Insertion(AccessEntry, entry))
        if self.context.is_full:
            await self.writer.write()

    async def hide_documents(self) -> None:
        """Take back the sharing of the superbills and statements that the import has entered."""
        await self.writer.settle()
        stamp = Stamp.at(self.context.now, self.context.today)
        draft = Draft(self.context.facts.id, stamp)
        of_kind: tuple[tuple[Any, str], ...] = ((Superbill, "superbill"), (Statement, "document"))
        for table, kind in of_kind:
            ids = select(ExternalReference.row_id).where(*self.references(kind))
            own = table.practice_id == self.past.practice_id, table.id.in_(ids)
            for row_id in await self.conn.scalars(select(table.id).where(*own)):
                draft.alter(table, {"id": row_id}, shared_at=None)
        self.context.operations += draft.operations
        self.context.touched.add(draft.operations)

    # -- references --------------------------------------------------------------------------------

    def references(self, *kinds: str) -> tuple[Any, ...]:
        """Return the conditions for the import's references of some kinds."""
        return (
            ExternalReference.practice_id == self.past.practice_id,
            ExternalReference.source == self.past.source,
            ExternalReference.kind.in_(kinds),
            ExternalReference.changed_at == self.past.imported_at,
        )

    async def forget_records(self) -> None:
        """Forget the records of money. Keep what the numbers of undone documents were taken by."""
        await self.conn.execute(delete(ExternalReference).where(*self.references(*FORGOTTEN)))
        sessions = update(ExternalReference).where(*self.references("session"))
        await self.conn.execute(sessions.values(digest=UNDONE))
        superbills = select(ExternalReference.row_id).where(*self.references("superbill"))
        rows = {
            "invoice": self.invoices,
            "superbill": set(await self.conn.scalars(superbills)),
            "document": await self.undone_documents(),
        }
        rows["document"] |= rows["invoice"] | rows["superbill"]
        for kind, ids in rows.items():
            for some in chunks(sorted(ids)):
                renamed = update(ExternalReference).where(
                    *self.references(kind), ExternalReference.row_id.in_(some)
                )
                await self.conn.execute(
                    renamed.values(
                        kind=undone_kind(kind),
                        external_id=ExternalReference.row_id,
                        digest=UNDONE,
                    )
                )

    async def undone_documents(self) -> set[str]:
        """Return the statements and receipts that the import has entered."""
        documents = select(ExternalReference.row_id).where(*self.references("document"))
        statements = select(Statement.id).where(
            Statement.practice_id == self.past.practice_id, Statement.id.in_(documents)
        )
        receipts = select(ChainLink.row_key).where(
            *self.links(
                ChainLink.table_name == ChainedTable.RECEIPT,
                ChainLink.added_at == self.past.imported_at,
            )
        )
        return {*await self.conn.scalars(statements), *await self.conn.scalars(receipts)}
