"""The entry of clinicians, contacts and clients: added, or changed with their details."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.client_ledger import ClientLedger
from billing.entry.errors import EntryError
from billing.entry.external_ids import content_of
from billing.entry.people import (
    CLIENT,
    CLINICIAN,
    CONTACT,
    ClientArchive,
    ClientRestore,
    ClinicianDetails,
    ContactDetails,
    Person,
    archive_client,
    restore_client,
)
from billing.entry.practice_facts import PracticeFacts
from billing.entry.rows import Alteration, Draft, Insertion, Operation, Stamp, Values
from billing.imports import client_records as inputs
from billing.imports.accounts import ClientAccount
from billing.imports.context import DayStamps, ImportContext, as_change, as_deletion
from billing.imports.remedies import refuse_entry
from billing.imports.staging import StagedRow
from billing.ledger.hash_chain import Chain
from models import Contact
from models.names import mailbox

# Each person, with the reference of an earlier import.
PEOPLE = """SELECT own.*, row_id, digest FROM {name} AS own
LEFT JOIN known ON kind = '{kind}' AND external_id = id WHERE own.line IN
(SELECT min(line) FROM {name} GROUP BY id) ORDER BY own.line"""
KNOWN = "SELECT external_id, row_id FROM known WHERE kind = ?"


def enter_clinicians(context: ImportContext) -> None:
    """Enter the clinicians, and note the rows of those that are only named."""
    note_entered(context, "clinician", context.clinicians)
    for row in context.staging.select(PEOPLE.format(name="clinicians", kind="clinician")):
        names = ("name", "credentials", "npi", "licence_number")
        details = ClinicianDetails(*(row[name] for name in names))
        entered = enter_person(context, row, CLINICIAN, details)
        context.clinicians[row["id"]] = entered.row_id
        context.count("clinicians", entered.outcome)


async def enter_contacts(context: ImportContext, conn: AsyncConnection) -> None:
    """Enter the contacts. One with the address of another contact is the same person."""
    note_entered(context, "contact", context.contacts)
    statement = select(Contact.mailbox, Contact.id).where(Contact.practice_id == context.facts.id)
    by_mailbox = {one.mailbox: one.id for one in await conn.execute(statement)}
    for row in context.staging.select(PEOPLE.format(name="contacts", kind="contact")):
        details = ContactDetails(row["name"], row["email"])
        address = mailbox(row["email"])
        same = by_mailbox.get(address) if row["row_id"] is None else None
        if same is not None:
            context.contacts[row["id"]] = same
            content = content_of(details.kind, details)
            context.operations.append(context.reference(content, row["id"], same))
        else:
            entered = enter_person(context, row, CONTACT, details)
            context.contacts[row["id"]] = by_mailbox[address] = entered.row_id


@dataclass(frozen=True)
class EnteredPerson:
    """A person that was added, changed, or entered before, and the operations for it."""

    row_id: str
    outcome: str
    operations: Sequence[Operation] = ()

    @property
    def is_changed(self) -> bool:
        return self.outcome != "same"

    @property
    def changed_values(self) -> Values:
        """Return the new values of the person's own row."""
        changes = (one for one in self.operations if isinstance(one, Alteration))
        return {name: value for one in changes for name, value in one.values.items()}

    def new_account(self, practice: PracticeFacts) -> ClientAccount:
        """Return the account of a new client."""
        client, *_ = self.operations
        assert isinstance(client, Insertion)
        ledger, chain = ClientLedger(practice, client.values), Chain(practice.id, self.row_id)
        return ClientAccount(self.row_id, ledger, chain, is_new=True)


def enter_client(context: ImportContext, row: StagedRow) -> EnteredPerson:
    """Enter a client's own record."""
    stamps = DayStamps(context)
    created = inputs.day_of(row["created_on"])
    try:
        details = inputs.client_details(row, context.clinician(row["clinician_id"]))
    except EntryError as error:
        raise refuse_entry(context, "clients", row, error) from None
    stamp = stamps.of(created) if created else stamps.now
    entered = enter_person(context, row, CLIENT, details, stamp)
    try:
        entered = follow_archive(context, row, entered)
    except EntryError as error:
        raise refuse_entry(context, "clients", row, error) from None
    context.count("clients", entered.outcome)
    return entered


def follow_archive(context: ImportContext, row: StagedRow, entered: EnteredPerson) -> EnteredPerson:
    """Archive a client with a day in the file. Take a client without one out of the archive, if a
    file has put the client there.
    """
    day, known = inputs.day_of(row["archived_on"]), row["archive_row_id"] is not None
    content = content_of("archive", entered.row_id, day)
    if row["archive_digest"] == content.digest or not (day or known):
        return entered
    draft = Draft(context.facts.id, Stamp.at(context.now, context.today))
    reference = context.reference(content, row["id"], entered.row_id)
    if day:
        archive_client(draft, context.facts, ClientArchive(entered.row_id, day))
        context.operations.append(as_change(reference) if known else reference)
    else:
        restore_client(draft, context.facts, ClientRestore(entered.row_id))
        context.operations.append(as_deletion(reference))
    if entered.outcome == "new":
        # A new client's row is written as a whole, later changes included.
        client, *_ = entered.operations
        assert isinstance(client, Insertion)
        client.values["archived_on"] = day
        return entered
    context.operations += draft.operations
    context.touched.add(draft.operations)
    return EnteredPerson(entered.row_id, "changed", (*entered.operations, *draft.operations))


def enter_person(
    context: ImportContext,
    row: StagedRow,
    person: Person[Any],
    details: Any,
    stamp: Stamp | None = None,
) -> EnteredPerson:
    """Add a person, or change the person if the details have changed."""
    content = content_of(details.kind, details)
    if row["row_id"] is not None and row["digest"] == content.digest:
        return EnteredPerson(row["row_id"], "same")
    draft = Draft(context.facts.id, stamp or Stamp.at(context.now, context.today))
    if row["row_id"] is None:
        row_id, outcome = person.add(draft, context.facts, details), "new"
    else:
        new_details = person.new_details(row["row_id"], details)
        row_id, outcome = person.change(draft, context.facts, new_details), "changed"
    for operation in draft.operations:
        context.facts.apply(operation)
    reference = context.reference(content, row["id"], row_id)
    context.operations += draft.operations
    context.operations.append(reference if outcome == "new" else as_change(reference))
    return EnteredPerson(row_id, outcome, tuple(draft.operations))


def note_entered(context: ImportContext, kind: str, ids: dict[str, str]) -> None:
    ids |= {row["external_id"]: row["row_id"] for row in context.staging.select(KNOWN, kind)}
