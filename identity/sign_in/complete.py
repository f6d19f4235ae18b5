"""Signing in with the link or the code of a mail."""

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing import audit_log
from billing.audit_log import Actor
from billing.errors import (
    InvalidInputError,
    SignInCodeInvalidError,
    SignInLinkInvalidError,
    TooManyAttemptsError,
    UserError,
)
from identity import tokens
from identity.sign_in import codes
from identity.sign_in.context import SignInContext
from identity.sign_in.people import TooManyPeople, people
from identity.sign_in.request import mails
from identity.tokens import PERSONAL_SCOPES, Subject
from models import AccessAction, ActorKind, SignInLink, SignInRequest, Token
from models.database import every_practice

log = logging.getLogger("portal.identity")
LASTS = dt.timedelta(hours=12)
# For this time the same link, or code, and nonce return the same sign-in, since the first response
# may have been lost.
AGAIN = dt.timedelta(seconds=60)
NAME = "sign-in"
USE_THE_LINK = "Too many wrong codes were typed for this address. The link in the mail works."


@dataclass(frozen=True)
class SignInPage:
    """The page that signs in: its stored nonce, the nonce's hashes, and its network's hash."""

    nonce: str
    nonce_hashes: Sequence[str]
    address_hash: str | None


async def complete_by_link(
    context: SignInContext,
    secret: str,
    nonce: str,
    now: dt.datetime,
    address_hash: str | None = None,
) -> str:
    """Return a token for a link that is opened in the page that requested it."""
    page = SignInPage(nonce, context.keys.hashes(nonce), address_hash)
    async with every_practice(context.engine) as conn:
        link = await find_link(conn, context.keys.hashes(secret), page, now)
        token = await begin_session(conn, context, link, page, now) if link else None
    if token is None:
        raise SignInLinkInvalidError(context.lasts)
    return token


async def find_link(
    conn: AsyncConnection, secret_hashes: Sequence[str], page: SignInPage, now: dt.datetime
) -> Row[Any] | None:
    """Return the link with this secret, if the page requested it.

    If a page was refused a mail, because several were requested, it may use the link of another
    request for the same address.
    """
    asked = SignInRequest.nonce_hash.in_(page.nonce_hashes), SignInRequest.expires_at > now
    statement = select(SignInRequest.nonce_hash).where(*asked)
    refused = select(SignInRequest.email_hash).where(*asked, ~SignInRequest.is_mailed)
    condition = or_(SignInLink.nonce_hash.in_(statement), SignInLink.email_hash.in_(refused))
    has_secret = SignInLink.secret_hash.in_(secret_hashes)
    return next(iter(await links(conn, page, now, has_secret, condition)), None)


async def complete_by_code(
    context: SignInContext, code: str, nonce: str, now: dt.datetime, address_hash: str | None = None
) -> str:
    """Return a token for a code that is typed into the page that requested its mail."""
    digits = codes.parse_code(code)
    if digits is None:
        raise InvalidInputError("A code has six digits.", ("input", "code"))
    page = SignInPage(nonce, context.keys.hashes(nonce), address_hash)
    async with every_practice(context.engine) as conn:
        came_to = await link_by_code(conn, context, digits, page, now)
    # The error is raised after the counted try is committed.
    if isinstance(came_to, UserError):
        raise came_to
    return came_to


async def link_by_code(
    conn: AsyncConnection, context: SignInContext, digits: str, page: SignInPage, now: dt.datetime
) -> str | UserError:
    """Count a try and return its token, or the reason why there is none.

    The work done is the same for a known and an unknown address.
    """
    request = await count_try(conn, page.nonce_hashes, now)
    if request is None:
        return SignInCodeInvalidError(0)
    limit, key = codes.TRIES_OF_ADDRESS, request.email_hash
    spent = await limit.spent(conn, key, now)
    if spent is None:
        return TooManyAttemptsError(await limit.next_at(conn, key) or now, USE_THE_LINK)
    found = await links(conn, page, now, SignInLink.nonce_hash == request.nonce_hash)
    link = codes.matching(context, digits, request.nonce_hash, found)
    token = await begin_session(conn, context, link, page, now) if link else None
    if token is None:
        if limit.is_last(spent, now):
            log.warning("too many wrong codes for the address %s: none is taken now", key[:12])
        return SignInCodeInvalidError(codes.TRIES_OF_REQUEST - request.code_tries)
    await limit.give_back(conn, key)
    return token


async def count_try(
    conn: AsyncConnection, nonce_hashes: Sequence[str], now: dt.datetime
) -> Row[Any] | None:
    """Count a try of a code before it is checked. Return None if no tries are left."""
    count = (
        update(SignInRequest)
        .where(
            SignInRequest.nonce_hash.in_(nonce_hashes),
            SignInRequest.expires_at > now,
            SignInRequest.code_tries < codes.TRIES_OF_REQUEST,
        )
        .values(code_tries=SignInRequest.code_tries + 1)
    )
    columns: list[Any] = [
        SignInRequest.nonce_hash,
        SignInRequest.email_hash,
        SignInRequest.code_tries,
    ]
    return (await conn.execute(count.returning(*columns))).first()


async def links(
    conn: AsyncConnection, page: SignInPage, now: dt.datetime, *where: Any
) -> Sequence[Row[Any]]:
    """Return and lock the links that are valid, or that this page has just used."""
    columns = SignInLink.__table__.c
    just_now = columns.used_nonce_hash.in_(page.nonce_hashes) & (columns.used_at > now - AGAIN)
    open_still = or_(columns.used_at.is_(None), just_now)
    wanted = (
        select(*columns)
        .where(*where, columns.expires_at > now, open_still)
        .order_by(columns.id)
        .with_for_update()
    )
    return (await conn.execute(wanted)).all()


# -- the sign-in -----------------------------------------------------------------------------------


async def begin_session(
    conn: AsyncConnection,
    context: SignInContext,
    link: Row[Any],
    page: SignInPage,
    now: dt.datetime,
) -> str | None:
    """Return the token of a link's sign-in, which begins with its first use.

    Return None if no person of the practice has the address any more, or the sign-in has ended.
    """
    # Another process may have answered the first time, with another newest key.
    used_nonce_hash = link.used_nonce_hash or page.nonce_hashes[0]
    text = tokens.derived(context.keys.key_of(used_nonce_hash), link.id, page.nonce)
    if link.used_at is not None:
        return text if await is_session_valid(conn, link, now) else None
    try:
        (person, *_) = await people(conn, link.email, link.practice_id)
    except (ValueError, TooManyPeople):
        return None
    subject = Subject(link.practice_id, person.client_id, person.contact_id)
    token_id = await insert_session(conn, context, subject, link.email, text, now)
    kind, actor_id = ActorKind(subject.kind), person.client_id or person.contact_id
    by = Actor(link.practice_id, kind, token_id, actor_id, address_hash=page.address_hash)
    whose = person.client_id, person.contact_id
    await audit_log.record_of_person(conn, by, whose, now, AccessAction.SIGN_IN)
    used = {"used_at": now, "used_nonce_hash": used_nonce_hash, "token_id": token_id}
    columns = SignInLink.__table__.c
    mine = columns.practice_id == link.practice_id
    await conn.execute(update(SignInLink).where(mine, columns.id == link.id).values(used))
    await forget_others(conn, link)
    # Access to the mailbox is proven, so the next mails need no limit.
    await mails(context).reset(conn, link.email_hash)
    return text


async def forget_others(conn: AsyncConnection, link: Row[Any]) -> None:
    """Remove the other unused links of the practice to the address.

    A link that is in use at the same moment stays, so two sign-ins never wait for each other.
    """
    columns = SignInLink.__table__.c
    mine = columns.practice_id == link.practice_id
    others = (
        select(columns.id)
        .where(mine, columns.email == link.email, columns.used_at.is_(None))
        .with_for_update(skip_locked=True)
    )
    await conn.execute(delete(SignInLink).where(mine, columns.id.in_(others)))


async def insert_session(
    conn: AsyncConnection,
    context: SignInContext,
    subject: Subject,
    email: str,
    text: str,
    now: dt.datetime,
) -> str:
    """Write the token of a new sign-in, and return its id."""
    scopes = frozenset(PERSONAL_SCOPES)
    token_id, _ = await tokens.create_token(
        conn, context.keys.newest, subject, NAME, scopes, now, LASTS, secret=text, email=email
    )
    return token_id


async def is_session_valid(conn: AsyncConnection, link: Row[Any], now: dt.datetime) -> bool:
    """Return whether the sign-in that a link began is still valid."""
    token = Token.__table__
    mine = token.c.practice_id == link.practice_id, token.c.id == link.token_id
    works = tokens.is_valid_token(token, now, now - tokens.IDLE), tokens.has_address(token)
    return (await conn.scalar(select(token.c.id).where(*mine, *works))) is not None
