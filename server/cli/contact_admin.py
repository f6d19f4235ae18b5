"""Contacts on the command line, and their rights to clients' bills."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, delete, insert, select
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.audit_log import record
from models import AccessAction, Client, Contact, ContactRight, Relation
from models.database import is_unmigrated
from models.ids import new_id
from models.names import folded_email
from models.upsert import insert_into
from server.cli.operators import operator
from server.cli.token_admin import row_id_of, writing
from server.clock import utc_now
from server.command_errors import CommandError
from server.settings import Settings


class NotLinked(CommandError):
    """Nothing was changed. The text gives the reason."""


@dataclass(frozen=True)
class Right:
    """The rights of a contact to a client. At least one of the two is required."""

    relation: Relation
    sees_documents: bool
    can_pay: bool

    def __str__(self) -> str:
        may = [
            *(["sees the documents"] if self.sees_documents else []),
            *(["may pay"] if self.can_pay else []),
        ]
        return " and ".join(may)


async def link_contact(settings: Settings, client: str, name: str, email: str, right: Right) -> str:
    """Link a contact to a client, and return a sentence about the link.

    A contact of the practice with the same address is used again, and gets the new rights.
    """
    if not (right.sees_documents or right.can_pay):
        raise NotLinked("A contact needs a right: --documents, --pay, or both.")
    async with writing(settings) as conn:
        row = await find_client(conn, client)
        contact = await same(conn, row.practice_id, name, email)
        rights = {"sees_documents": right.sees_documents, "can_pay": right.can_pay}
        await conn.execute(
            insert_into(conn, ContactRight)
            .values(
                practice_id=row.practice_id,
                contact_id=contact,
                client_id=row.id,
                relation=right.relation,
                **rights,
            )
            .on_conflict_do_update(
                index_elements=["practice_id", "contact_id", "client_id"],
                set_=rights | {"relation": right.relation},
            )
        )
        await record(conn, operator(row.practice_id, "portal contact link"), row.id, utc_now())
    return f"{contact}: {right.relation.lower()} of {client}, {right}."


async def unlink_contact(settings: Settings, contact: str, client: str) -> str:
    """Remove a contact's rights to a client, from the contact's next request on."""
    async with writing(settings) as conn:
        condition = and_(
            ContactRight.contact_id == row_id_of(contact),
            ContactRight.client_id == row_id_of(client),
        )
        gone = delete(ContactRight).where(condition).returning(ContactRight.practice_id)
        practice_id = (await conn.execute(gone)).scalar()
        if practice_id is None:
            raise NotLinked(f"{contact} was not linked to {client}.")
        by = operator(practice_id, "portal contact unlink")
        await record(conn, by, row_id_of(client), utc_now())
    return f"{contact} has no rights to {client} any more."


async def list_contacts(settings: Settings, client: str) -> list[str]:
    """Return a line for each contact of a client."""
    async with writing(settings) as conn:
        row = await find_client(conn, client)
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
    right = Right(one.relation, one.sees_documents, one.can_pay)
    return f"{one.contact_id}  {one.relation:9} {one.name} <{one.email or ''}>  {right}"


async def find_client(conn: AsyncConnection, client: str) -> Row[Any]:
    try:
        row = (
            await conn.execute(select(Client.__table__).where(Client.id == row_id_of(client)))
        ).first()
    except StatementError as error:
        if is_unmigrated(error.orig):
            raise
        # The text is not a valid id.
        row = None
    if row is None:
        raise NotLinked(f"There is no client {client}.")
    return row


async def same(conn: AsyncConnection, practice_id: str, name: str, email: str) -> str:
    """Return the id of the practice's contact with this address, or of a new contact."""
    condition = and_(Contact.practice_id == practice_id, Contact.mailbox == folded_email(email))
    found = (await conn.execute(select(Contact.id).where(condition))).scalars().first()
    if found is not None:
        return found
    id_ = new_id()
    own = {"practice_id": practice_id, "id": id_, "name": name, "email": email}
    await conn.execute(insert(Contact).values(own))
    return id_
