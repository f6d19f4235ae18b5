"""Signing in with a link, signing out, and ending another sign-in of one's own."""

import datetime as dt
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.refusals import NotFound, SignInLinkInvalid, TooManyAttempts
from identity import tokens
from identity.door import Door
from identity.tokens import PERSONAL_SCOPES, Subject
from models import SignInFailure, SignInLink, Token
from models.ids import new_id

LASTS = dt.timedelta(hours=12)
# Of tries that failed, from one network address.
WITHIN = dt.timedelta(hours=1)
MOST = 20
NAME = "sign-in"


async def sign_in(
    door: Door, secret: str, nonce: str, address_hash: str | None, now: dt.datetime
) -> str:
    """A token for whom the link is of."""
    async with door.engine.begin() as rows:
        await allow(rows, address_hash, now)
        link = await used(rows, door.hashed(secret), door.hashed(nonce), now)
        if link is not None:
            return await entered(rows, door.key, link, now)
        await failed(rows, address_hash, now)
    raise SignInLinkInvalid()


async def used(
    rows: AsyncConnection, secret_hash: str, nonce_hash: str, now: dt.datetime
) -> Row[Any] | None:
    """The link, which whoever comes next finds used. With another nonce it stays as it is."""
    columns: list[Any] = [SignInLink.practice_id, SignInLink.client_id, SignInLink.contact_id]
    open_still = (
        update(SignInLink)
        .where(
            SignInLink.secret_hash == secret_hash,
            SignInLink.nonce_hash == nonce_hash,
            SignInLink.used_at.is_(None),
            SignInLink.expires_at > now,
        )
        .values(used_at=now)
    )
    return (await rows.execute(open_still.returning(*columns))).first()


async def entered(rows: AsyncConnection, key: str, link: Row[Any], now: dt.datetime) -> str:
    subject, scopes = Subject(*link), frozenset(PERSONAL_SCOPES)
    _, token = await tokens.create(rows, key, subject, NAME, scopes, now, LASTS, is_sign_in=True)
    return token


# -- tries that failed -----------------------------------------------------------------------------


async def allow(rows: AsyncConnection, address_hash: str | None, now: dt.datetime) -> None:
    """TooManyAttempts, where too many tries from the network address failed in the last hour."""
    of_late = (
        select(SignInFailure.failed_at)
        .where(SignInFailure.address_hash == address_hash, SignInFailure.failed_at > now - WITHIN)
        .order_by(SignInFailure.failed_at.desc())
        .limit(MOST)
    )
    times = list(await rows.scalars(of_late)) if address_hash is not None else []
    if len(times) == MOST:
        raise TooManyAttempts(times[-1] + WITHIN, "Too many links didn't work. Try again later.")


async def failed(rows: AsyncConnection, address_hash: str | None, now: dt.datetime) -> None:
    if address_hash is not None:
        row = {"id": new_id(), "address_hash": address_hash, "failed_at": now}
        await rows.execute(insert(SignInFailure).values(row))


# -- ending a sign-in ------------------------------------------------------------------------------


async def sign_out(door: Door, practice_id: str, token_id: str, now: dt.datetime) -> bool:
    """Ends the sign-in that the token is of; False where it is of none, and goes on working."""
    return await ended(door, Token.practice_id == practice_id, Token.id == token_id, now=now)


async def revoke(door: Door, subject: Subject, token_id: str, now: dt.datetime) -> None:
    """Ends a sign-in of the same person, in the same practice."""
    is_mine = await ended(
        door,
        Token.practice_id == subject.practice_id,
        Token.client_id.is_not_distinct_from(subject.client_id),
        Token.contact_id.is_not_distinct_from(subject.contact_id),
        Token.id == token_id,
        now=now,
    )
    if not is_mine:
        raise NotFound("There is no such sign-in.", ("input", "id"))


async def ended(door: Door, *which: Any, now: dt.datetime) -> bool:
    """Whether a sign-in that works was stopped, from its next request on."""
    works = tokens.works(Token.__table__, now, now - tokens.IDLE)
    stopped = update(Token).where(*which, Token.is_sign_in, works).values(revoked_at=now)
    async with door.engine.begin() as rows:
        return bool((await rows.execute(stopped)).rowcount)
