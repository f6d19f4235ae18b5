"""The locks of a client's account and of a contact's cards."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Client, Contact


async def lock_client(conn: AsyncConnection, practice_id: str, client_id: str) -> None:
    """Lock the client's row: until this transaction ends no other one writes to the account."""
    statement = select(Client.id).where(Client.practice_id == practice_id, Client.id == client_id)
    await conn.execute(statement.with_for_update())


async def lock_contact(conn: AsyncConnection, practice_id: str, contact_id: str) -> None:
    """Lock a contact's row: until this transaction ends no other one stores the contact's cards.

    A transaction that also locks a client locks the client first. The row may still be referred to.
    """
    mine = Contact.practice_id == practice_id, Contact.id == contact_id
    await conn.execute(select(Contact.id).where(*mine).with_for_update(key_share=True))
