"""The end of sign-ins: signing out, and ending another sign-in of the same person."""

import datetime as dt
from typing import Any

from sqlalchemy import false, or_, update

from billing import audit_log
from billing.audit_log import Actor
from billing.errors import NotFoundError
from identity import tokens
from identity.sign_in.context import SignInContext
from models import AccessAction, Token


async def end_session(context: SignInContext, by: Actor, now: dt.datetime) -> bool:
    """End the sign-in of a token. Return False for a token that is no sign-in; it stays valid."""
    mine = Token.practice_id == by.practice_id, Token.id == by.token_id
    return await end_sign_ins(context, *mine, now=now, by=by)


async def end_own_sign_in(
    context: SignInContext, by: Actor, own: Any, token_id: str, now: dt.datetime
) -> None:
    """End one of the viewer's own sign-ins, by the condition `own`, in the viewer's practice."""
    mine = Token.practice_id == by.practice_id, own, Token.id == token_id
    is_mine = await end_sign_ins(context, *mine, now=now, by=by)
    if not is_mine:
        raise NotFoundError("There is no such sign-in.", ("input", "id"))


async def end_sign_ins(context: SignInContext, *which: Any, now: dt.datetime, by: Actor) -> bool:
    """End valid sign-ins from their next request on. Return whether there was one."""
    whose: list[Any] = [Token.client_id, Token.contact_id]
    works = tokens.is_valid_token(Token.__table__, now, now - tokens.IDLE)
    stopped = update(Token).where(*which, Token.is_sign_in, works).values(revoked_at=now)
    async with context.engine.begin() as conn:
        found = (await conn.execute(stopped.returning(*whose))).all()
        for client_id, contact_id in found:
            person = client_id, contact_id
            await audit_log.record_of_person(conn, by, person, now, AccessAction.SIGN_OUT)
    return bool(found)


def own_sign_ins(subject: tokens.Subject, email: str | None) -> Any:
    """Return the condition for a person's own sign-ins: of the same person or the same address.

    A dashboard has none.
    """
    mine = (
        (Token.client_id, subject.client_id),
        (Token.contact_id, subject.contact_id),
        (Token.email, email),
    )
    return or_(false(), *(column == value for column, value in mine if value is not None))
