"""Contacts on the command line, and their rights to clients' bills."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.audit_log import record
from billing.entry import people
from billing.entry.commands import client_entries, enter_for_client, practice_entries
from billing.entry.errors import EntryError
from models import AccessAction, Client, Contact, ContactRight, Relation
from models.names import folded_email
from server.cli.entering import entering_for
from server.cli.operators import operator
from server.cli.rows import find_row, row_id_of, writing
from server.clock import utc_now
from server.command_errors import CommandError
from server.settings import Settings


class NotLinked(CommandError):
    """Nothing was changed. The text gives the reason."""


@dataclass(frozen=True)
class Right:
    """The rights of a contact to a client. At least one of the two is required.

    `until` is the last day of the rights, in the practice's time zone.
    """

    relation: Relation
    sees_documents: bool
    can_pay: bool
    until: dt.date | None = None

    def __str__(self) -> str:
        may = [
            *(["sees the documents"] if self.sees_documents else []),
            *(["may pay"] if self.can_pay else []),
        ]
        return " and ".join(may) + (f" until {self.until}" if self.until else "")


async def link_contact(settings: Settings, client: str, name: str, email: str, right: Right) -> str:
    """Link a contact to a client, and return a sentence about the link.

    A contact of the practice with the same address is used again, and gets the new rights.
    """
    if not (right.sees_documents or right.can_pay):
        raise NotLinked("A contact needs a right: --documents, --pay, or both.")
    async with entering_for(settings, "portal contact link", Client, client) as (context, account):
        details = people.ContactDetails(name, email.strip())
        async with practice_entries(context, account.practice_id) as practice:
            # The practice is locked, so no other process adds the same contact at the same time.
            contact = await contact_of(practice.conn, account.practice_id, details)
            if contact is None:
                contact = await practice.enter(people.CONTACT.add, details)
        link = people.ContactLink(contact, **vars(right))
        own = account.practice_id, account.id
        await enter_for_client(context, *own, people.link_contact, link)
    return f"{contact}: {right.relation.lower()} of {client}, {right}."


async def update_contact(
    settings: Settings, contact: str, name: str | None, email: str | None
) -> str:
    """Change the name or the address of a contact, and return a sentence about the change."""
    async with (
        entering_for(settings, "portal contact update", Contact, contact) as (context, row),
        practice_entries(context, row.practice_id) as practice,
    ):
        details = people.ContactDetails(name or row.name, email.strip() if email else row.email)
        if details == people.ContactDetails(row.name, row.email):
            return "Nothing is changed."
        await refuse_taken_address(practice.conn, row, details)
        await practice.enter(people.change_contact, people.ContactChange(row.id, details))
    return f"{row.id} is {details.name} <{details.email or ''}>."


async def refuse_taken_address(
    conn: AsyncConnection, contact: Row[Any], details: people.ContactDetails
) -> None:
    """Refuse the address of another contact, since that contact would be linked by it."""
    other = await contact_of(conn, contact.practice_id, details) if details.email else None
    if other not in (None, contact.id):
        raise NotLinked(f"{other} has this address: link that contact instead.")


async def unlink_contact(settings: Settings, contact: str, client: str) -> str:
    """Remove a contact's rights to a client, from the contact's next request on."""
    command = "portal contact unlink"
    async with entering_for(settings, command, Client, client) as (context, account):
        try:
            wanted = people.ContactUnlink(row_id_of(contact))
        except EntryError:
            raise NotLinked(f"{contact} was not linked to {client}.") from None
        async with client_entries(context, account.practice_id, account.id) as entries:
            if not await is_linked(entries.conn, account, wanted.contact_id):
                raise NotLinked(f"{contact} was not linked to {client}.")
            await entries.enter(people.unlink_contact, wanted)
    return f"{contact} has no rights to {client} any more."


async def list_contacts(settings: Settings, client: str) -> list[str]:
    """Return a line for each contact of a client."""
    async with writing(settings) as conn:
        row = await find_row(conn, Client, client)
        same_contact = and_(
            Contact.practice_id == ContactRight.practice_id, Contact.id == ContactRight.contact_id
        )
        condition = and_(
            ContactRight.practice_id == row.practice_id, ContactRight.client_id == row.id
        )
        linked = await conn.execute(
            select(ContactRight.__table__, Contact.name, Contact.email)
            .join(Contact, same_contact)
            .where(condition)
            .order_by(Contact.id)
        )
        by = operator(row.practice_id, "portal contact list")
        await record(conn, by, row.id, utc_now(), AccessAction.READ)
        return [contact_line(one) for one in linked]


def contact_line(one: Row[Any]) -> str:
    right = Right(one.relation, one.sees_documents, one.can_pay, one.until)
    return f"{one.contact_id}  {one.relation:9} {one.name} <{one.email or ''}>  {right}"


async def contact_of(
    conn: AsyncConnection, practice_id: str, details: people.ContactDetails
) -> str | None:
    """Return the id of the practice's contact with this address, if there is one."""
    mailbox = folded_email(details.email or "")
    condition = and_(Contact.practice_id == practice_id, Contact.mailbox == mailbox)
    found = await conn.scalars(select(Contact.id).where(condition))
    return found.first()


async def is_linked(conn: AsyncConnection, client: Row[Any], contact_id: str) -> bool:
    statement = select(ContactRight.contact_id).where(
        ContactRight.practice_id == client.practice_id,
        ContactRight.client_id == client.id,
        ContactRight.contact_id == contact_id,
    )
    return await conn.scalar(statement) is not None
