"""Links: one for each practice that knows an address, with a secret and a code."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.practices import portal_url_fault
from identity.email_address import parse_address
from identity.sign_in.codes import mail_code
from identity.sign_in.context import SignInContext
from identity.sign_in.people import TooManyPeople, people
from identity.tokens import random_text
from models import SignInLink, SignInRequest
from models.ids import new_id
from models.names import mailbox
from models.upsert import insert_into

log = logging.getLogger("portal.identity")


@dataclass(frozen=True)
class Link:
    """A link and a code that sign in to a practice's portal."""

    practice: str
    url: str
    code: str


@dataclass(frozen=True)
class Letter:
    """The links for one address, spelled as the practice has stored it."""

    to: str
    links: Sequence[Link]


async def letter(context: SignInContext, request: Row[Any]) -> Letter | None:
    """Create a link for each practice that knows the address. Return None if there is none."""
    to = parse_address(request.email or "")
    if to is None:
        return None
    async with context.engine.begin() as conn:
        if not await is_request_open(conn, request):
            return None
        try:
            found = await people(conn, to)
        except TooManyPeople:
            log.warning("sign-in request %s: too many people have the address", request.id)
            return None
        # One link is enough for all people of a practice, since they share the address.
        first = [next(those) for _, those in groupby(found, lambda person: person.practice_id)]
        made = [await create_link(conn, context, request, person) for person in first]
    links = [one for one in made if one is not None]
    return Letter(first[0].email.strip(), links) if links else None


async def is_request_open(conn: AsyncConnection, request: Row[Any]) -> bool:
    """Lock a request. Return False if an operator has ended it in the meantime."""
    columns = SignInRequest.__table__.c
    waiting = columns.id == request.id, columns.done_at.is_(None)
    return bool(await conn.scalar(select(columns.id).where(*waiting).with_for_update()))


async def create_link(
    conn: AsyncConnection, context: SignInContext, request: Row[Any], person: Row[Any]
) -> Link | None:
    """Create a practice's link.

    Return None if the practice has no page that a link may lead to, or the request's link was used.
    """
    if person.portal_url is None:
        log.warning(
            "practice pra_%s has no portal_url: signing in is not possible there",
            person.practice_id,
        )
        return None
    if fault := portal_url_fault(person.portal_url):
        log.warning("practice pra_%s has %s: nobody signs in there", person.practice_id, fault)
        return None
    secret = random_text()
    if not await write_link(conn, context, request, person, secret):
        return None
    own = mail_code(context, request.nonce_hash, person.practice_id)
    return Link(person.practice, f"{person.portal_url}#/sign-in/{secret}", own)


async def write_link(
    conn: AsyncConnection, context: SignInContext, request: Row[Any], person: Row[Any], secret: str
) -> bool:
    """Write the link, or replace the link of an earlier try. Return whether it can be used."""
    made = insert_into(conn, SignInLink).values(
        practice_id=person.practice_id,
        id=new_id(),
        email=mailbox(person.email),
        email_hash=request.email_hash,
        secret_hash=context.hashed(secret),
        nonce_hash=request.nonce_hash,
        created_at=request.created_at,
        # It outlives the request: a page that is refused another mail uses this one.
        expires_at=request.expires_at + context.lasts,
    )
    fresh = {name: made.excluded[name] for name in ("secret_hash", "email", "email_hash")}
    written = made.on_conflict_do_update(
        index_elements=["practice_id", "nonce_hash"], set_=fresh, where=SignInLink.used_at.is_(None)
    )
    return (await conn.execute(written.returning(SignInLink.id))).first() is not None
