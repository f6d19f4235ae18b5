"""The audit log of access: who acts, and the writing of entries."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import AccessAction, AccessEntry, ActorKind, Client, Contact, ContactRight, Token
from models.ids import new_id

Entry = dict[str, Any]

# The rows that have the names of actors.
NAMED: dict[ActorKind, Any] = {
    ActorKind.CLIENT: Client,
    ActorKind.CONTACT: Contact,
    ActorKind.DASHBOARD: Token,
}
# The name of an actor whose row is no longer in the database.
UNKNOWN = "unknown"
# Rows of one INSERT: preparing more of them at once would hold the event loop for too long.
AT_ONCE = 100


@dataclass(frozen=True)
class Actor:
    """The bearer of a token, or the operator at the command line, who has a `name` instead.

    `actor_id` is the client or contact who acts, as the token was used at that time. `operation` is
    the GraphQL operation or the command, and `fields` are the personal fields that it asks for.
    `changed` collects the clients for whom a change was recorded and committed.
    """

    practice_id: str
    kind: ActorKind
    token_id: str | None = None
    actor_id: str | None = None
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
            "actor_id": self.actor_id,
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
    conn: AsyncConnection,
    actor: Actor | None,
    client_id: str | None,
    at: dt.datetime,
    action: AccessAction = AccessAction.CHANGE,
) -> None:
    """Record what is done in its own transaction. What the server does by itself has no actor."""
    if actor is None:
        return
    await write(conn, [actor.entry(at, client_id, action)])
    transaction: Any = conn.sync_connection
    event.listen(transaction, "commit", lambda _: actor.changed.add(client_id), once=True)


async def record_of_person(
    conn: AsyncConnection,
    actor: Actor,
    person: tuple[str | None, str | None],
    at: dt.datetime,
    action: AccessAction = AccessAction.CHANGE,
) -> None:
    """Record what concerns a client, or a contact and all whom they look after, given by their ids.

    Without either it concerns the whole practice.
    """
    client_id, contact_id = person
    clients = [client_id]
    if contact_id is not None:
        mine = ContactRight.practice_id == actor.practice_id, ContactRight.contact_id == contact_id
        found = select(ContactRight.client_id).where(*mine).order_by(ContactRight.client_id)
        clients = list(await conn.scalars(found)) or [None]
    for each in clients:
        await record(conn, actor, each, at, action)


async def write(conn: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Add entries to the log, in their order, with the actors' names."""
    names = await names_of(conn, entries)
    named = [one | {"name": one["name"] or names.get(acting(one)[1], UNKNOWN)} for one in entries]
    for start in range(0, len(named), AT_ONCE):
        await conn.execute(insert(AccessEntry), named[start : start + AT_ONCE])


def acting(entry: Entry) -> tuple[ActorKind, str]:
    """Return the kind and the id of an entry's actor: of a person, or of a dashboard's token."""
    return entry["kind"], entry["actor_id"] or entry["token_id"]


async def names_of(conn: AsyncConnection, entries: Sequence[Entry]) -> dict[str, str]:
    """Return the names of the actors by their ids, as the database has them."""
    names: dict[str, str] = {}
    for kind, model in NAMED.items():
        acted = [one for one in entries if one["kind"] is kind and one["name"] is None]
        if acted:
            found = await conn.execute(
                select(model.id, model.name).where(
                    model.practice_id.in_(padded(one["practice_id"] for one in acted)),
                    model.id.in_(padded(acting(one)[1] for one in acted)),
                )
            )
            names |= {str(row.id): str(row.name) for row in found}
    return names


def padded(ids: Iterable[str]) -> list[str]:
    """Return the different ids, the last one repeated up to a power of two.

    Each length is a statement of its own, which the driver keeps, so there should be few.
    """
    different = sorted(set(ids))
    length = 1 << (len(different) - 1).bit_length()
    return different + different[-1:] * (length - len(different))
