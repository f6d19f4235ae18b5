"""The lock of a client's account."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Client


async def lock_client(conn: AsyncConnection, practice_id: str, client_id: str) -> None:
    """Lock the client's row: until this transaction ends no other one writes to the account."""
    statement = select(Client.id).where(Client.practice_id == practice_id, Client.id == client_id)
    await conn.execute(statement.with_for_update())
