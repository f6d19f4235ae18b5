"""Who is at work: what a change writes of it into the record of access."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import AccessEntry, Client, Contact, Token
from models.ids import new_id

Entry = dict[str, Any]


@dataclass(frozen=True)
class Actor:
    """The bearer of a token, by which operation they act, and from where.

    `fields` are what the operation asks for, as `Client.balance`.
    """

    practice_id: str
    token_id: str
    operation: str | None = None
    fields: Sequence[str] = ()
    address_hash: str | None = field(default=None, repr=False)

    def entry(self, at: dt.datetime, client_id: str | None, *, is_change: bool) -> Entry:
        """What `write` takes. Without a client it is of the whole practice."""
        return {
            "practice_id": self.practice_id,
            "token_id": self.token_id,
            "id": new_id(),
            "client_id": client_id,
            "operation": self.operation,
            "fields": list(self.fields),
            "arguments": None,
            "count": None,
            "is_change": is_change,
            "address_hash": self.address_hash,
            "at": at,
        }


async def record(
    rows: AsyncConnection, actor: Actor | None, client_id: str, at: dt.datetime
) -> None:
    """Writes who changes something, in the transaction that changes it; of the server, nothing."""
    if actor is not None:
        await write(rows, [actor.entry(at, client_id, is_change=True)])


async def write(rows: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Adds to the record; who the bearers of the tokens are, the database says."""
    if entries:
        bearers = await named(rows, {entry["token_id"] for entry in entries})
        await rows.execute(
            insert(AccessEntry), [entry | bearers[entry["token_id"]] for entry in entries]
        )


async def named(rows: AsyncConnection, token_ids: Collection[str]) -> dict[str, Entry]:
    """The kind and the name of each token's bearer."""
    ids = sorted(token_ids)
    # In a few lengths only, the last one repeated: each is a statement that the driver keeps.
    ids += ids[-1:] * (2 ** (len(ids) - 1).bit_length() - len(ids))
    of_client = and_(Client.practice_id == Token.practice_id, Client.id == Token.client_id)
    of_contact = and_(Contact.practice_id == Token.practice_id, Contact.id == Token.contact_id)
    name = func.coalesce(Client.name, Contact.name, Token.name).label("name")
    found = await rows.execute(
        select(Token.id, Token.kind, name)
        .outerjoin(Client, of_client)
        .outerjoin(Contact, of_contact)
        .where(Token.id.in_(ids))
    )
    return {token.id: {"kind": token.kind, "name": token.name} for token in found}
