"""The audit log of access: who acts, and the writing of entries."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, event, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import AccessAction, AccessEntry, ActorKind, Client, Contact, Token
from models.ids import new_id

Entry = dict[str, Any]

# The name of an actor whose token is no longer in the database.
UNKNOWN = "unknown"
# Rows of one INSERT: preparing more of them at once would hold the event loop for too long.
AT_ONCE = 100


@dataclass(frozen=True)
class Actor:
    """The bearer of a token, or the operator at the command line, who has a `name` instead.

    `operation` is the GraphQL operation or the command, and `fields` are the personal fields that
    it asks for. `changed` collects the clients for whom a change was recorded and committed.
    """

    practice_id: str
    kind: ActorKind
    token_id: str | None = None
    operation: str | None = None
    fields: Sequence[str] = ()
    address_hash: str | None = field(default=None, repr=False)
    name: str | None = None
    changed: set[str | None] = field(default_factory=set, compare=False, repr=False)

    def entry(
        self, at: dt.datetime, client_id: str | None, action: AccessAction, **more: Any
    ) -> Entry:
        """Return an entry for `write`. Without a client it concerns the whole practice."""
        return {
            "practice_id": self.practice_id,
            "id": new_id(),
            "client_id": client_id,
            "token_id": self.token_id,
            "kind": self.kind,
            "name": self.name,
            "action": action,
            "operation": self.operation,
            "fields": list(self.fields),
            "arguments": None,
            "count": None,
            "address_hash": self.address_hash,
            "at": at,
        } | more


async def record(
    conn: AsyncConnection, actor: Actor | None, client_id: str | None, at: dt.datetime
) -> None:
    """Record a change in its own transaction. What the server does by itself has no actor."""
    if actor is None:
        return
    await write(conn, [actor.entry(at, client_id, AccessAction.CHANGE)])
    transaction: Any = conn.sync_connection
    event.listen(transaction, "commit", lambda _: actor.changed.add(client_id), once=True)


async def write(conn: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Add entries to the log, in their order. The database tells the names of tokens' bearers."""
    bearers = {(one["practice_id"], one["token_id"]) for one in entries if one["name"] is None}
    names = await names_of(conn, bearers)
    named = [one | {"name": one["name"] or names.get(one["token_id"], UNKNOWN)} for one in entries]
    for start in range(0, len(named), AT_ONCE):
        await conn.execute(insert(AccessEntry), named[start : start + AT_ONCE])


async def names_of(conn: AsyncConnection, bearers: Collection[tuple[str, str]]) -> dict[str, str]:
    """Return the names of the bearers of tokens, which are given with their practices."""
    if not bearers:
        return {}
    practice_ids = padded(practice_id for practice_id, _ in bearers)
    token_ids = padded(token_id for _, token_id in bearers)
    of_client = and_(Client.practice_id == Token.practice_id, Client.id == Token.client_id)
    of_contact = and_(Contact.practice_id == Token.practice_id, Contact.id == Token.contact_id)
    name = func.coalesce(Client.name, Contact.name, Token.name).label("name")
    found = await conn.execute(
        select(Token.id, name)
        .outerjoin(Client, of_client)
        .outerjoin(Contact, of_contact)
        .where(Token.practice_id.in_(practice_ids), Token.id.in_(token_ids))
    )
    return {str(token.id): str(token.name) for token in found}


def padded(ids: Iterable[str]) -> list[str]:
    """Return the different ids, the last one repeated up to a power of two.

    Each length is a statement of its own, which the driver keeps, so there should be few.
    """
    different = sorted(set(ids))
    length = 1 << (len(different) - 1).bit_length()
    return different + different[-1:] * (length - len(different))
