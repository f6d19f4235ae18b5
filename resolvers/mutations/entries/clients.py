"""Entries about clients, contacts and sessions."""

from billing.entry.commands import practice_entries
from billing.entry.contact_links import link_contact_of, unlink_contact_of
from billing.entry.merging import ClientMerge, merge_clients
from billing.entry.people import CLIENT as PERSON
from billing.entry.people import (
    ClientArchive,
    ClientDetails,
    ClientRestore,
    ContactDetails,
    ContactLink,
    PostalAddress,
)
from billing.entry.people import archive_client as archive
from billing.entry.people import restore_client as restore
from billing.entry.rows import EntryChange
from billing.entry.sessions import SessionDetails, record_session
from resolvers.mutations.entries.errors import at
from resolvers.mutations.entries.inputs import (
    ArchiveRecord,
    ClientRecord,
    ContactChoice,
    ContactRecord,
    GivenAddress,
    MergeRecord,
    RestoreRecord,
    SessionRecord,
)
from resolvers.mutations.entries.making import (
    INPUT,
    Made,
    enter_record,
    entry,
    entry_context,
    minor,
)
from resolvers.mutations.entries.references import (
    CLIENT,
    CLINICIAN,
    Path,
    external_key,
    optional_row_id,
    row_id,
    row_ids,
)
from resolvers.mutations.result import MutationContext, Outcome


@entry
async def upsert_client(mutation: MutationContext, input: ClientRecord) -> Outcome:
    """Add a client, or change the details of the client that was added before."""
    clinician_id = await optional_row_id(
        mutation, CLINICIAN, input.clinician, (*INPUT, "clinician")
    )
    details = ClientDetails(
        name=input.name,
        email=input.email,
        phone=input.phone,
        date_of_birth=input.date_of_birth,
        clinician_id=clinician_id,
        address=postal_address(input.address),
    )
    context, practice_id = entry_context(mutation), mutation.viewer.practice_id
    async with practice_entries(context, practice_id) as entries:
        client_id = await entries.upsert(PERSON, details, external_key(input.external_id))
    return Made(mutation, client_id, client_id, entries.change).outcome("ClientEntered")


@entry
async def archive_client(mutation: MutationContext, input: ArchiveRecord) -> Outcome:
    """Archive a client. An archived client is not changed, unless another day is given."""
    client_id = await row_id(mutation, CLIENT, input.client, (*INPUT, "client"))
    context, practice_id = entry_context(mutation), mutation.viewer.practice_id
    async with practice_entries(context, practice_id) as entries:
        async with entries.of_client(client_id) as of_client:
            since = of_client.ledger.client["archived_on"]
        change = EntryChange.UNCHANGED
        if since is None or input.archived_on not in (None, since):
            await entries.enter(archive, ClientArchive(client_id, input.archived_on))
            change = EntryChange.CHANGED
    return Made(mutation, client_id, client_id, change).outcome("ClientEntered")


@entry
async def restore_client(mutation: MutationContext, input: RestoreRecord) -> Outcome:
    """Take a client out of the archive. A current client is not changed."""
    client_id = await row_id(mutation, CLIENT, input.client, (*INPUT, "client"))
    context, practice_id = entry_context(mutation), mutation.viewer.practice_id
    async with practice_entries(context, practice_id) as entries:
        async with entries.of_client(client_id) as of_client:
            is_archived = of_client.ledger.client["archived_on"] is not None
        if is_archived:
            await entries.enter(restore, ClientRestore(client_id))
    change = EntryChange.CHANGED if is_archived else EntryChange.UNCHANGED
    return Made(mutation, client_id, client_id, change).outcome("ClientEntered")


@entry
async def merge_client(mutation: MutationContext, input: MergeRecord) -> Outcome:
    """Merge two records of a client. The result shows the record that goes on."""
    paths: list[Path] = [(*INPUT, "client"), (*INPUT, "into")]
    named = dict(zip(paths, (input.client, input.into), strict=True))
    ids = await row_ids(mutation, CLIENT, named)
    wanted = ClientMerge(*(ids[path] for path in paths))
    context, practice_id = entry_context(mutation), mutation.viewer.practice_id
    async with practice_entries(context, practice_id) as entries:
        change = await merge_clients(entries, wanted)
    return Made(mutation, wanted.into_id, wanted.into_id, change).outcome("ClientEntered")


def postal_address(given: GivenAddress | None) -> PostalAddress | None:
    if given is None:
        return None
    with at(*INPUT, "address"):
        return PostalAddress(
            line1=given.line1,
            line2=given.line2,
            city=given.city,
            region=given.region,
            postal_code=given.postal_code,
            country=given.country,
        )


# -- contacts --------------------------------------------------------------------------------------


@entry
async def link_contact(mutation: MutationContext, input: ContactRecord) -> Outcome:
    """Add or change a contact, and give the contact rights to a client."""
    client_id = await row_id(mutation, CLIENT, input.client, (*INPUT, "client"))
    details = ContactDetails(input.name, input.email)
    key = external_key(input.external_id)
    context, practice_id = entry_context(mutation), mutation.viewer.practice_id
    async with practice_entries(context, practice_id) as entries:
        change = await link_contact_of(
            entries,
            client_id,
            details,
            key,
            lambda contact_id: ContactLink(
                contact_id, input.relation, input.sees_documents, input.can_pay, input.until
            ),
        )
    return Made(mutation, client_id, client_id, change).outcome("ClientEntered")


@entry
async def unlink_contact(mutation: MutationContext, input: ContactChoice) -> Outcome:
    """Take all rights to a client from a contact."""
    client_id = await row_id(mutation, CLIENT, input.client, (*INPUT, "client"))
    key = external_key(input.contact, (*INPUT, "contact"))
    context, practice_id = entry_context(mutation), mutation.viewer.practice_id
    async with practice_entries(context, practice_id) as entries:
        change = await unlink_contact_of(entries, client_id, key)
    return Made(mutation, client_id, client_id, change).outcome("ClientEntered")


# -- sessions --------------------------------------------------------------------------------------


@entry
async def enter_session(mutation: MutationContext, input: SessionRecord) -> Outcome:
    """Record a session that took place."""
    wanted = SessionDetails(
        date=input.date,
        description=input.description,
        fee_minor=minor(mutation, input.fee, (*INPUT, "fee")),
        clinician_id=await optional_row_id(
            mutation, CLINICIAN, input.clinician, (*INPUT, "clinician")
        ),
        starts_at=input.starts_at,
        duration_minutes=input.duration_minutes,
        service_code=input.service_code,
    )
    made = await enter_record(mutation, input, record_session, wanted)
    return made.outcome("SessionEntered", session_id=made.row_id)
