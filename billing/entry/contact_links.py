"""Contacts of other systems, added or changed and linked to a client in one transaction."""

from collections.abc import Callable

from sqlalchemy import select

from billing.entry.commands import PracticeEntries
from billing.entry.errors import no_such
from billing.entry.external_ids import ExternalId
from billing.entry.people import (
    CONTACT,
    ContactDetails,
    ContactLink,
    ContactUnlink,
    link_contact,
    unlink_contact,
)
from billing.entry.rows import EntryChange
from models import ContactRight


async def link_contact_of(
    entries: PracticeEntries,
    client_id: str,
    details: ContactDetails,
    external: ExternalId,
    link_to: Callable[[str], ContactLink],
) -> EntryChange:
    """Add a contact or change the details, and give the contact rights to a client, in place of
    those that the contact had. `link_to` returns the link to a contact's id.
    """
    async with entries.of_client(client_id) as of_client:
        contact_id = await entries.upsert(CONTACT, details, external)
        changes = {entries.change}
        link = link_to(contact_id)
        before = await rights_of(entries, client_id, contact_id)
        if before != link:
            await of_client.enter(link_contact, link)
            changes.add(EntryChange.CHANGED if before else EntryChange.ENTERED)
    return next((one for one in EntryChange if one in changes), EntryChange.UNCHANGED)


async def unlink_contact_of(
    entries: PracticeEntries, client_id: str, external: ExternalId
) -> EntryChange:
    """Take a contact's rights to a client away, if there are any."""
    async with entries.of_client(client_id) as of_client:
        found = await entries.find(external, ContactDetails.kind)
        if found is None:
            raise no_such("contact", "contact_id")
        contact_id = str(found.row_id)
        if await rights_of(entries, client_id, contact_id) is None:
            return EntryChange.UNCHANGED
        await of_client.enter(unlink_contact, ContactUnlink(contact_id))
    return EntryChange.CHANGED


async def rights_of(
    entries: PracticeEntries, client_id: str, contact_id: str
) -> ContactLink | None:
    """Return the rights that a contact has to a client."""
    columns = (
        *(ContactRight.relation, ContactRight.sees_documents),
        *(ContactRight.can_pay, ContactRight.until),
    )
    found = await entries.conn.execute(
        select(*columns).where(
            ContactRight.practice_id == entries.facts.id,
            ContactRight.client_id == client_id,
            ContactRight.contact_id == contact_id,
        )
    )
    row = found.first()
    return None if row is None else ContactLink(contact_id, *row)
