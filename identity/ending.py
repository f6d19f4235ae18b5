"""Ending sign-ins: signing out, and ending another one of the same person."""

import datetime as dt
from typing import Any

from sqlalchemy import false, or_, update

from billing.refusals import NotFound
from identity import tokens
from identity.door import Door
from models import Token


async def sign_out(door: Door, practice_id: str, token_id: str, now: dt.datetime) -> bool:
    """End the sign-in of a token; False where the token is of none, and goes on working."""
    return await ended(door, Token.practice_id == practice_id, Token.id == token_id, now=now)


async def revoke(door: Door, practice_id: str, own: Any, token_id: str, now: dt.datetime) -> None:
    """End one of the viewer's own sign-ins: those that are `own`, in the viewer's practice."""
    is_mine = await ended(
        door, Token.practice_id == practice_id, own, Token.id == token_id, now=now
    )
    if not is_mine:
        raise NotFound("There is no such sign-in.", ("input", "id"))


async def ended(door: Door, *which: Any, now: dt.datetime) -> bool:
    """End sign-ins that work, from their next request on; return whether there was one."""
    works = tokens.works(Token.__table__, now, now - tokens.IDLE)
    stopped = update(Token).where(*which, Token.is_sign_in, works).values(revoked_at=now)
    async with door.engine.begin() as conn:
        return bool((await conn.execute(stopped)).rowcount)


def own(subject: tokens.Subject, email: str | None) -> Any:
    """Return the condition for a person's own sign-ins: of the same person or the same address.

    A dashboard has none.
    """
    mine = (
        (Token.client_id, subject.client_id),
        (Token.contact_id, subject.contact_id),
        (Token.email, email),
    )
    return or_(false(), *(column == value for column, value in mine if value is not None))
