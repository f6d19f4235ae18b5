"""The audit log of access: the actors, and how entries are written."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.time_zones import zone
from models import (
    AccessAction,
    AccessEntry,
    ActorKind,
    Client,
    Contact,
    ContactRight,
    Practice,
    Token,
)
from models.ids import new_id

Entry = dict[str, Any]

# The tables that hold the names of actors.
NAMED: dict[ActorKind, Any] = {
    ActorKind.CLIENT: Client,
    ActorKind.CONTACT: Contact,
    ActorKind.DASHBOARD: Token,
    ActorKind.INTEGRATION: Token,
}
# The name of an actor whose row is no longer in the database.
UNKNOWN = "unknown"
# The rows of one INSERT. Preparing more at once would block the event loop for too long.
AT_ONCE = 100


@dataclass(frozen=True)
class Actor:
    """The bearer of a token, or the operator at the command line.

    `actor_id` is the client or contact that used the token at that time; an operator has a `name`
    instead. `operation` is the GraphQL operation or the command, and `fields` are the personal
    fields that it requests. `changed` collects the clients with a committed change.
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
        """Return an entry for `write_entries`. Without a client it concerns the whole practice."""
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
    """Record an action in the transaction of the action. Without an actor, the server itself acts
    and nothing is recorded.
    """
    if actor is None:
        return
    await write_entries(conn, [actor.entry(at, client_id, action)])
    transaction: Any = conn.sync_connection
    event.listen(transaction, "commit", lambda _: actor.changed.add(client_id), once=True)


async def record_of_person(
    conn: AsyncConnection,
    actor: Actor,
    person: tuple[str | None, str | None],
    at: dt.datetime,
    action: AccessAction = AccessAction.CHANGE,
) -> None:
    """Record an action that concerns a client, or a contact and each client to whom that contact
    has a right at that time.

    `person` holds the id of the client or of the contact. Without either, the action concerns the
    whole practice.
    """
    client_id, contact_id = person
    clients = [client_id]
    if contact_id is not None:
        clients = await current_clients(conn, actor.practice_id, contact_id, at) or [None]
    for each in clients:
        await record(conn, actor, each, at, action)


async def current_clients(
    conn: AsyncConnection, practice_id: str, contact_id: str, at: dt.datetime
) -> list[str | None]:
    """Return the clients to whom a contact has a right that has not ended."""
    mine = ContactRight.practice_id == practice_id, ContactRight.contact_id == contact_id
    rights = await conn.execute(
        select(ContactRight.client_id, ContactRight.until, Practice.time_zone)
        .join(Practice, Practice.id == ContactRight.practice_id)
        .where(*mine, Practice.id == practice_id)
        .order_by(ContactRight.client_id)
    )
    return [
        client_id
        for client_id, until, time_zone in rights
        if until is None or until >= at.astimezone(zone(time_zone) or dt.UTC).date()
    ]


async def write_entries(conn: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Add entries to the log, in their order, with the actors' names."""
    names = await names_of(conn, entries)
    named = [one | {"name": one["name"] or names.get(acting(one)[1], UNKNOWN)} for one in entries]
    for start in range(0, len(named), AT_ONCE):
        await conn.execute(insert(AccessEntry), named[start : start + AT_ONCE])


def acting(entry: Entry) -> tuple[ActorKind, str]:
    """Return the kind and the id of an entry's actor: of a person, or of a program's token."""
    return entry["kind"], entry["actor_id"] or entry["token_id"]


async def names_of(conn: AsyncConnection, entries: Sequence[Entry]) -> dict[str, str]:
    """Return the names of the actors by their ids, as the database has them."""
    names: dict[str, str] = {}
    for kind, model in NAMED.items():
        acted = [one for one in entries if one["kind"] is kind and one["name"] is None]
        if acted:
            result = await conn.execute(
                select(model.id, model.name).where(
                    model.practice_id.in_(padded(one["practice_id"] for one in acted)),
                    model.id.in_(padded(acting(one)[1] for one in acted)),
                )
            )
            names |= {str(row.id): str(row.name) for row in result}
    return names


def padded(ids: Iterable[str]) -> list[str]:
    """Return the distinct ids, the last one repeated up to a power of two.

    Each length makes a different statement, and the driver caches statements, so there should be
    few lengths.
    """
    different = sorted(set(ids))
    length = 1 << (len(different) - 1).bit_length()
    return different + different[-1:] * (length - len(different))
