"""Links: whose an address is, in all practices, and a secret for each of them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, cast, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from identity.door import Door
from identity.tokens import random_text
from models import Client, Contact, Practice, SignInLink
from models.ids import new_id
from models.inserting import insert_into
from models.names import folded_email
from models.row import ID

# An address of more people is nobody's own: one that is filled in where none is known.
MOST = 20

log = logging.getLogger("portal.identity")


@dataclass(frozen=True)
class Link:
    """Where somebody is signed in, and in whose practice; `name` is theirs."""

    email: str
    practice: str
    name: str
    url: str


async def links(door: Door, request: Row[Any]) -> list[Link]:
    """A link for each whose address it is; the links that they had don't work any more."""
    async with door.engine.begin() as rows:
        made = [await link(rows, door, request, one) for one in await people(rows, request.email)]
    return [one for one in made if one is not None]


async def people(rows: AsyncConnection, email: str | None) -> Sequence[Row[Any]]:
    """The clients and contacts of all practices that have this address."""
    if not email:
        return []
    both = union_all(known(Client, email), known(Contact, email)).limit(MOST + 1)
    found = (await rows.execute(both)).all()
    if len(found) > MOST:
        log.warning("an address of more than %s people gets no sign-in link", MOST)
        return []
    return sorted(found, key=lambda one: (one.practice, one.name, one.id))


def known(table: Any, email: str) -> Select[Any]:
    is_client = table is Client
    return (
        select(
            Practice.id.label("practice_id"),
            Practice.name.label("practice"),
            Practice.portal_url,
            table.id,
            (table.id if is_client else cast(null(), ID)).label("client_id"),
            table.name,
            table.email,
        )
        .join(Practice, Practice.id == table.practice_id)
        .where(folded_email(table.email) == folded_email(email))
    )


async def link(
    rows: AsyncConnection, door: Door, request: Row[Any], person: Row[Any]
) -> Link | None:
    """None where the practice has no page, or a later request has got its link already."""
    if person.portal_url is None:
        log.warning("practice pra_%s has no portal_url: nobody signs in there", person.practice_id)
        return None
    secret = random_text()
    if not await is_newest(rows, door.hashed(secret), request, person):
        return None
    url = f"{person.portal_url}#/sign-in/{secret}"
    return Link(person.email.strip(), person.practice, person.name, url)


async def is_newest(
    rows: AsyncConnection, secret_hash: str, request: Row[Any], person: Row[Any]
) -> bool:
    """Puts the secret in the place of the person's last one, unless that is of a later request."""
    whose = "contact_id" if person.client_id is None else "client_id"
    made = insert_into(rows, SignInLink).values(
        practice_id=person.practice_id,
        id=new_id(),
        secret_hash=secret_hash,
        nonce_hash=request.nonce_hash,
        requested_at=request.created_at,
        expires_at=request.expires_at,
        **{whose: person.id},
    )
    fresh = ("secret_hash", "nonce_hash", "requested_at", "expires_at", "used_at")
    written = made.on_conflict_do_update(
        index_elements=["practice_id", whose],
        set_={name: made.excluded[name] for name in fresh},
        where=SignInLink.requested_at <= made.excluded.requested_at,
    )
    return (await rows.execute(written.returning(SignInLink.id))).first() is not None
