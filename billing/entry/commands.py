"""Entries as transactions: the client is locked, and the rows, the versions and the audit log are
written together or not at all.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import Row, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.audit_log import Actor, record, record_of_person
from billing.entry import external_ids
from billing.entry import validation as check
from billing.entry.client_ledger import (
    ClientLedger,
    ClientMaker,
    enter_in_memory,
    read_client_ledger,
)
from billing.entry.external_ids import Content, ExternalId
from billing.entry.number_series import NumberSeries, set_series
from billing.entry.numbering import number_documents
from billing.entry.people import Person
from billing.entry.practice_facts import PracticeFacts, read_practice_facts
from billing.entry.practices import PracticeDetails, add_practice
from billing.entry.rows import Draft, EntryChange, Input, Stamp
from billing.entry.writing import Touched, chained_rows, write
from billing.ledger.hash_chain import add_links
from billing.ledger.locks import lock_client
from billing.payment_methods.rights import remove_cards_without_right
from billing.payments.context import TURN_S, local_day
from models import ContactRight, Practice
from models.ids import IdSequence
from models.row_turns import Turns

W = TypeVar("W", bound=Input)
PracticeMaker = Callable[[Draft, PracticeFacts, W], str]


@dataclass(frozen=True)
class EntryContext:
    """The database, the clock and the actor of entries. Without an actor nothing is audited.

    `ids` returns the ids of a moment's rows.
    """

    engine: AsyncEngine
    now: Callable[[], dt.datetime]
    actor: Actor | None = None
    turns: Turns = field(default_factory=lambda: Turns(TURN_S))
    ids: Callable[[dt.datetime], Callable[[], str]] = IdSequence

    def for_practice(self, practice_id: str) -> "EntryContext":
        """Return the context for the entries of a practice."""
        if self.actor is None:
            return self
        return replace(self, actor=replace(self.actor, practice_id=practice_id))

    def stamp(self, time_zone: str) -> Stamp:
        now = self.now()
        return Stamp(now, local_day(now, time_zone), self.ids(now))


async def enter_for_client(
    context: EntryContext,
    practice_id: str,
    client_id: str,
    maker: ClientMaker[W],
    wanted: W,
    external: ExternalId | None = None,
) -> str:
    """Make one entry for a client, and return the id of its main row."""
    async with client_entries(context, practice_id, client_id) as entries:
        return await entries.enter(maker, wanted, external)


async def enter_for_practice(
    context: EntryContext,
    practice_id: str,
    maker: PracticeMaker[W],
    wanted: W,
    external: ExternalId | None = None,
) -> str:
    """Make one entry for a practice, and return the id of its main row."""
    async with practice_entries(context, practice_id) as entries:
        return await entries.enter(maker, wanted, external)


async def enter_practice(context: EntryContext, details: PracticeDetails) -> str:
    """Enter a new practice, and return its id."""
    async with new_practice(context, details) as entries:
        return entries.facts.id


# -- several entries in one transaction ------------------------------------------------------------


@asynccontextmanager
async def client_entries(
    context: EntryContext, practice_id: str, client_id: str
) -> AsyncIterator["ClientEntries"]:
    """Open a transaction with exclusive access to a client's account, for any number of entries.

    Other entries and payments of the client wait for their turn.
    """
    check.check_form("practice_id", practice_id, check.ID)
    check.check_form("client_id", client_id, check.ID)
    async with context.turns.of(practice_id, client_id), context.engine.begin() as conn:
        await lock_client(conn, practice_id, client_id)
        facts = await read_practice_facts(conn, practice_id)
        async with entries_of_locked(context, conn, facts, client_id) as entries:
            yield entries
        await entries.touched.stamp(conn, practice_id)


@asynccontextmanager
async def entries_of_locked(
    context: EntryContext, conn: AsyncConnection, facts: PracticeFacts, client_id: str
) -> AsyncIterator["ClientEntries"]:
    """Yield the entries of a locked client, then write the audit log."""
    ledger = await read_client_ledger(conn, facts, client_id)
    entries = ClientEntries(context, conn, facts, ledger)
    yield entries
    if entries.is_changed:
        await record(conn, context.actor, client_id, context.now())


@asynccontextmanager
async def new_practice(
    context: EntryContext, details: PracticeDetails
) -> AsyncIterator["PracticeEntries"]:
    """Open a transaction that enters a practice, for the practice's first entries.

    The context's actor becomes an actor of the new practice.
    """
    stamp = context.stamp(details.time_zone)
    draft = Draft(stamp.new_id(), stamp)
    add_practice(draft, details)
    context = context.for_practice(draft.practice_id)
    async with context.engine.begin() as conn:
        await write(conn, draft.operations)
        await record(conn, context.actor, None, stamp.now)
        facts = await read_practice_facts(conn, draft.practice_id)
        entries = PracticeEntries(context, conn, facts)
        yield entries
        await entries.touched.stamp(conn, draft.practice_id)


@asynccontextmanager
async def practice_entries(
    context: EntryContext, practice_id: str
) -> AsyncIterator["PracticeEntries"]:
    """Open a transaction that has locked a practice's row, for any number of entries."""
    check.check_form("practice_id", practice_id, check.ID)
    locked = select(Practice.id).where(Practice.id == practice_id).with_for_update(key_share=True)
    async with context.turns.of(practice_id), context.engine.begin() as conn:
        await conn.execute(locked)
        facts = await read_practice_facts(conn, practice_id)
        entries = PracticeEntries(context, conn, facts)
        yield entries
        await entries.touched.stamp(conn, practice_id)


@dataclass
class Entries:
    """The entries of a transaction. `change` is the effect of the latest entry.

    The rows in `touched` get the practice's next version at the end of the transaction.
    """

    context: EntryContext
    conn: AsyncConnection
    facts: PracticeFacts
    touched: Touched = field(default_factory=Touched)
    is_changed: bool = False
    change: EntryChange = EntryChange.UNCHANGED

    async def known(self, external: ExternalId | None, content: Content) -> str | None:
        """Return the row that a record was entered as. Refuse a record that has changed since."""
        self.change = EntryChange.ENTERED
        if external is None:
            return None
        found = await self.find(external, content.kind)
        if found is None:
            return None
        if found.digest != content.digest:
            raise external_ids.entered_before()
        self.change = EntryChange.UNCHANGED
        return str(found.row_id)

    async def find(self, external: ExternalId, kind: str) -> Row[str, str] | None:
        return await external_ids.find_reference(self.conn, self.facts.id, external, kind)


class ClientEntries(Entries):
    """The entries of a transaction for one client. The client's ledger follows them."""

    def __init__(
        self,
        context: EntryContext,
        conn: AsyncConnection,
        facts: PracticeFacts,
        ledger: ClientLedger,
    ) -> None:
        super().__init__(context, conn, facts)
        self.ledger = ledger

    async def enter(
        self, maker: ClientMaker[W], wanted: W, external: ExternalId | None = None
    ) -> str:
        """Make an entry, and return the id of its main row.

        A record of another system that was entered before is not entered again.
        """
        content = external_ids.content_of(wanted.kind, self.ledger.id, wanted)
        known = await self.known(external, content)
        if known is not None:
            return known
        stamp = self.context.stamp(self.facts.time_zone)
        row_id, operations = enter_in_memory(self.ledger, stamp, maker, wanted)
        await number_documents(self.conn, self.facts.id, operations)
        await write(self.conn, operations)
        await add_links(self.conn, chained_rows(operations), stamp.now)
        if external is not None:
            await self.refer(Draft(self.facts.id, stamp), external, content, row_id)
        if any(operation.table is ContactRight for operation in operations):
            own = self.facts.id, self.ledger.id
            await remove_cards_without_right(self.conn, *own, stamp.now, stamp.today)
        self.touched.add(operations)
        self.is_changed = True
        return row_id

    async def refer(
        self, draft: Draft, external: ExternalId, content: Content, row_id: str
    ) -> None:
        """Add the reference of a record. The same key of another client, which is not locked, may
        have been entered at this moment.
        """
        external_ids.insert_reference(draft, external, content, row_id)
        try:
            await write(self.conn, draft.operations)
        except IntegrityError:
            raise external_ids.entered_before() from None


class PracticeEntries(Entries):
    """The entries of a transaction for a practice: its own details, clinicians, new clients and
    contacts.
    """

    async def enter(
        self, maker: PracticeMaker[W], wanted: W, external: ExternalId | None = None
    ) -> str:
        """Make an entry, record the people it concerns, and return the id of its main row."""
        content = external_ids.content_of(wanted.kind, wanted)
        known = await self.known(external, content)
        if known is not None:
            return known
        draft = self.draft()
        row_id = maker(draft, self.facts, wanted)
        if external is not None:
            external_ids.insert_reference(draft, external, content, row_id)
        return await self.complete(draft, wanted.kind, row_id)

    async def upsert(self, person: Person[W], details: W, external: ExternalId) -> str:
        """Add a person of another system, or change the one that was added before."""
        found = await self.find(external, details.kind)
        if found is None:
            return await self.enter(person.add, details, external)
        content = external_ids.content_of(details.kind, details)
        if found.digest == content.digest:
            self.change = EntryChange.UNCHANGED
            return str(found.row_id)
        self.change = EntryChange.CHANGED
        draft = self.draft()
        person.change(draft, self.facts, person.new_details(str(found.row_id), details))
        external_ids.alter_reference(draft, external, content)
        return await self.complete(draft, details.kind, str(found.row_id))

    async def set_series(self, series: NumberSeries) -> bool:
        """Set the numbers of documents to come. Return whether they are changed."""
        is_changed = await set_series(self.conn, self.facts.id, series)
        if is_changed:
            await record(self.conn, self.context.actor, None, self.context.now())
        return is_changed

    @asynccontextmanager
    async def of_client(self, client_id: str) -> AsyncIterator[ClientEntries]:
        """Yield the entries of one client in this transaction."""
        check.check_form("client_id", client_id, check.ID)
        async with self.context.turns.of(self.facts.id, client_id):
            await lock_client(self.conn, self.facts.id, client_id)
            async with entries_of_locked(self.context, self.conn, self.facts, client_id) as entries:
                entries.touched = self.touched
                yield entries

    def draft(self) -> Draft:
        return Draft(self.facts.id, self.context.stamp(self.facts.time_zone))

    async def complete(self, draft: Draft, kind: str, row_id: str) -> str:
        await write(self.conn, draft.operations)
        self.touched.add(draft.operations)
        for operation in draft.operations:
            self.facts.apply(operation)
        persons: dict[str, Any] = {"client": (row_id, None), "contact": (None, row_id)}
        if self.context.actor is not None:
            concerned = persons.get(kind, (None, None))
            await record_of_person(self.conn, self.context.actor, concerned, draft.now)
        return row_id
