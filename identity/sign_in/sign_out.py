"""The end of sign-ins: signing out, and ending another sign-in of the same person."""

import datetime as dt
from typing import Any

from sqlalchemy import false, or_, update

from billing import audit_log
from billing.audit_log import Actor
from billing.errors import NotFoundError
from identity import tokens
from identity.sign_in.context import Door
from models import AccessAction, Token


async def sign_out(door: Door, by: Actor, now: dt.datetime) -> bool:
    """End the sign-in of a token. Return False for a token that is no sign-in; it stays valid."""
    mine = Token.practice_id == by.practice_id, Token.id == by.token_id
    return await ended(door, *mine, now=now, by=by)


async def revoke(door: Door, by: Actor, own: Any, token_id: str, now: dt.datetime) -> None:
    """End one of the viewer's own sign-ins, by the condition `own`, in the viewer's practice."""
    mine = Token.practice_id == by.practice_id, own, Token.id == token_id
    is_mine = await ended(door, *mine, now=now, by=by)
    if not is_mine:
        raise NotFoundError("There is no such sign-in.", ("input", "id"))


async def ended(door: Door, *which: Any, now: dt.datetime, by: Actor) -> bool:
    """End valid sign-ins from their next request on. Return whether there was one."""
    whose: list[Any] = [Token.client_id, Token.contact_id]
    works = tokens.works(Token.__table__, now, now - tokens.IDLE)
    stopped = update(Token).where(*which, Token.is_sign_in, works).values(revoked_at=now)
    async with door.engine.begin() as conn:
        found = (await conn.execute(stopped.returning(*whose))).all()
        for client_id, contact_id in found:
            person = client_id, contact_id
            await audit_log.record_of_person(conn, by, person, now, AccessAction.SIGN_OUT)
    return bool(found)


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
