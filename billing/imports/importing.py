"""The import of a practice's records: all or nothing, in one transaction."""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.audit_log import Actor
from billing.entry.practice_facts import read_practice_facts
from billing.entry.rows import Insertion
from billing.imports.accounts import Accounts
from billing.imports.attachments import FileChanged, check_attachments
from billing.imports.cards_import import CardEntry, OpenStripe, StripeCards, read_cards
from billing.imports.client_import import ClientImport
from billing.imports.client_records import ClientRecords, client_batches, prepare_work
from billing.imports.context import ClientStopped, ImportContext
from billing.imports.cross_checks import check_staged
from billing.imports.faults import Fault, Faults
from billing.imports.layouts import LAYOUTS
from billing.imports.people_import import enter_client, enter_clinicians, enter_contacts
from billing.imports.portal_payments import note_portal_payments
from billing.imports.references import note_known
from billing.imports.serials import Numbering, new_documents_of, serials_given
from billing.imports.staging import RecordSource, Staging
from billing.imports.totals import Proof, TotalsCheck
from billing.imports.values import Formats
from billing.imports.written_rows import RowWriter
from billing.payments.context import local_day
from models import AccessAction, AccessEntry, PastImport
from models.ids import new_id

# A function that is told the part of the work that is done, between 0 and 1.
Progress = Callable[[float], None]
# The part that reading the files takes. The rest is the entry of the clients' records.
READING = 0.25


def no_progress(part: float) -> None:
    """Tell nobody."""


class ImportRefused(Exception):
    """An import that entered nothing, because of the faults in its report."""


class ImportDisturbed(Exception):
    """An import that entered nothing, because of another event at the same time."""


@dataclass(frozen=True)
class ImportRequest:
    """The practice, the name of the other system, and whether everything is to be rolled back.

    With `cards_are_not_ours`, a payment by card that looks like one of the portal is another one.
    """

    practice_id: str
    source: str
    formats: Formats
    is_trial: bool = False
    cards_are_not_ours: bool = False
    actor: Actor | None = None
    progress: Progress = no_progress


@dataclass
class ImportReport:
    """The outcome of an import: the numbers of records by file and outcome, or the faults."""

    is_imported: bool = False
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    fault_count: int = 0
    put_off: Sequence[str] = ()
    proof: Proof = field(default_factory=Proof)


async def import_records(
    engine: AsyncEngine,
    request: ImportRequest,
    sources: Sequence[RecordSource],
    faults: Faults,
    now: dt.datetime,
    open_stripe: OpenStripe | None = None,
) -> ImportReport:
    """Import the records of all sources, or nothing if there is a fault.

    `faults` has the faults that were found before, and gets those that the sources find. Cards are
    read from the Stripe that `open_stripe` opens.
    """
    staging = Staging()
    run = ImportRun(engine, request, staging, faults, now)
    try:
        for read, source in enumerate(sources):
            request.progress(READING * read / len(sources))
            staging.load(source)
        check_attachments(staging, faults)
        run.cards = await read_cards(
            engine, staging, faults, request.practice_id, request.source, open_stripe
        )
        with suppress(ImportRefused):
            await run.run()
    except FileChanged:
        raise ImportDisturbed(
            "A PDF has changed since the import began: run the import again."
        ) from None
    except IntegrityError:
        raise ImportDisturbed(
            "Records of the practice were entered at the same time: run the import again."
        ) from None
    finally:
        staging.close()
    return run.report()


class ImportRun:
    """One import of staged records."""

    def __init__(
        self,
        engine: AsyncEngine,
        request: ImportRequest,
        staging: Staging,
        faults: Faults,
        now: dt.datetime,
    ) -> None:
        self.engine, self.request, self.staging = engine, request, staging
        self.faults, self.now = faults, now
        self.put_off, self.proof, self.cards = list[str](), Proof(), StripeCards()
        self.counts: dict[str, dict[str, int]] = {}
        self.is_imported = False

    def report(self) -> ImportReport:
        files = [self.staging.path(layout) for layout in LAYOUTS]
        return ImportReport(
            self.is_imported,
            self.counts,
            self.faults.in_order(files),
            self.faults.count,
            self.put_off,
            self.proof,
        )

    async def run(self) -> None:
        """Check and enter everything in one transaction, which no other import joins."""
        practice_id, is_trial = self.request.practice_id, self.request.is_trial
        async with self.engine.connect() as conn:
            await lock_imports(conn, practice_id)
            await note_known(conn, self.staging, practice_id, self.request.source)
            check_staged(self.staging, self.faults)
            await note_portal_payments(conn, self.staging, practice_id, self.faults)
            numbering = await new_documents_of(conn, self.staging, practice_id, self.faults)
            self.refuse_faults()
            async with serials_given(
                self.engine, conn, self.staging, practice_id, numbering, is_trial=is_trial
            ):
                await self.enter_all(conn, numbering)
                await (conn.rollback() if is_trial else conn.commit())
        self.is_imported = not is_trial

    def refuse_faults(self) -> None:
        if self.faults.count:
            raise ImportRefused

    async def enter_all(self, conn: AsyncConnection, numbering: Numbering) -> None:
        """Enter people first, then the records of all clients, and compare the totals."""
        context = await self.context(conn, numbering)
        writer = await RowWriter.of(self.engine, conn, context)
        enter_clinicians(context)
        await enter_contacts(context, conn)
        await writer.write()
        prepare_work(self.staging)
        try:
            done, all_ = 0, self.staging.count_of("work")
            for batch in client_batches(self.staging):
                self.request.progress(READING + (1 - READING) * done / all_)
                done += len(batch)
                await self.enter_batch(writer, context, batch)
            await writer.write()
            await writer.settle()
        finally:
            await writer.end()
        self.refuse_faults()
        if self.cards.by_line is not None:
            entry = CardEntry(conn, context, self.cards, self.request.actor)
            await entry.enter_all(set(self.put_off))
        await self.compare_totals(conn)
        self.refuse_faults()
        await writer.stamp_versions()
        if writer.has_written:
            await self.note(conn)

    async def note(self, conn: AsyncConnection) -> None:
        """Note an import that has entered something, so that it may be undone."""
        entered, changed = (
            sum(counted[outcome] for counted in self.counts.values())
            for outcome in ("new", "changed")
        )
        request, actor = self.request, self.request.actor
        row = {
            "practice_id": request.practice_id,
            "id": new_id(),
            "source": request.source,
            "imported_at": self.now,
            "imported_by": actor.name if actor else None,
            "entered": entered,
            "changed": changed,
            "undone_at": None,
        }
        await conn.execute(insert(PastImport).values(row))

    async def context(self, conn: AsyncConnection, numbering: Numbering) -> ImportContext:
        facts = await read_practice_facts(conn, self.request.practice_id)
        return ImportContext(
            facts,
            self.staging,
            self.faults,
            self.request.source,
            self.now,
            local_day(self.now, facts.time_zone),
            numbering.prefixes,
            "allocations" in self.staging.staged,
            not self.request.cards_are_not_ours,
            self.counts,
        )

    async def compare_totals(self, conn: AsyncConnection) -> None:
        request = self.request
        check = TotalsCheck(
            conn,
            self.staging,
            request.practice_id,
            request.source,
            request.formats,
            self.faults,
            set(self.put_off),
        )
        self.proof = await check.compare()

    async def enter_batch(
        self, writer: RowWriter, context: ImportContext, batch: list[ClientRecords]
    ) -> None:
        """Enter the records of a few clients. Put off clients with a payment under way."""
        known = [one.row_id for one in batch if one.row_id is not None and one.has_news]
        if known:
            await writer.settle()
        accounts = await Accounts.read(
            writer.conn, context.facts, known, with_documents="documents" in self.staging.staged
        )
        for records in batch:
            # The event loop handles the database's answers for the batch before.
            await asyncio.sleep(0)
            if records.row_id in accounts.paying:
                self.put_off.append(records.client_id)
                continue
            with suppress(ClientStopped):
                entering = open_client(context, records, accounts)
                entering.enter_all()
                if entering.is_changed:
                    context.operations += self.audited(entering.client_row_id)
            if context.is_full:
                await writer.write()

    def audited(self, client_row_id: str) -> list[Insertion]:
        """Return the entry of the audit log for a client with changes."""
        actor = self.request.actor
        if actor is None:
            return []
        entry = actor.entry(self.now, client_row_id, AccessAction.CHANGE)
        return [Insertion(AccessEntry, entry)]


def open_client(context: ImportContext, records: ClientRecords, accounts: Accounts) -> ClientImport:
    """Enter a client's own record, and return the import of the client's other records."""
    rows = records.by_file["clients"]
    person = enter_client(context, rows[0]) if rows else None
    if records.row_id is not None:
        account = accounts.of(records.row_id)
        if person is not None and account.ledger is not None:
            account.ledger.client.update(person.changed_values)
    else:
        # The checks have found the client among the records.
        assert person is not None
        account = person.new_account(context.facts)
    entering = ClientImport(context, records, account)
    entering.is_changed = person is not None and person.is_changed
    return entering


async def lock_imports(conn: AsyncConnection, practice_id: str) -> None:
    """Keep a second import of the practice out. On SQLite the transaction itself does."""
    if conn.dialect.name != "postgresql":
        return
    key = func.hashtextextended(f"import {practice_id}", 0)
    if not await conn.scalar(select(func.pg_try_advisory_xact_lock(key))):
        raise ImportDisturbed("Another import of the practice is running: wait for its end.")
