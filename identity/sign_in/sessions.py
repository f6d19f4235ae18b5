"""Sign-ins for operators: listed, and ended with all requests and links that could begin others."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, false, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from identity import tokens
from identity.token_keys import TokenKeys
from models import Client, Contact, Practice, SignInLink, SignInRequest, Token
from models.names import mailbox

TOKEN, LINK, REQUEST = Token.__table__.c, SignInLink.__table__.c, SignInRequest.__table__.c


class NoSuchPerson(Exception):
    """The database has no such client or contact."""


@dataclass(frozen=True)
class SignInOwner:
    """A selection: conditions for sign-ins and links, and the mailbox of the requests, if any."""

    sign_ins: ColumnElement[bool]
    links: ColumnElement[bool]
    email: str | None = None


def everybodys() -> SignInOwner:
    return SignInOwner(true(), true())


def of_sign_in(token_id: str) -> SignInOwner:
    """Select one sign-in, and no links or requests."""
    return SignInOwner(TOKEN.id == token_id, false())


def sessions_of_practice(practice_id: str) -> SignInOwner:
    return SignInOwner(TOKEN.practice_id == practice_id, LINK.practice_id == practice_id)


def of_address(address: str) -> SignInOwner:
    """Select an address, in all practices."""
    email = mailbox(address)
    return SignInOwner(TOKEN.email == email, LINK.email == email, email)


async def of_person(
    conn: AsyncConnection, model: type[Client] | type[Contact], id_: str
) -> SignInOwner:
    """Select a client or a contact, and all people of the practice with the same address.

    A sign-in can be switched between them.
    """
    columns = model.practice_id, model.email
    person = (await conn.execute(select(*columns).where(model.id == id_))).first()
    if person is None:
        raise NoSuchPerson
    column = TOKEN.client_id if model is Client else TOKEN.contact_id
    here = sessions_of_practice(person.practice_id)
    if person.email is None:
        return SignInOwner(and_(here.sign_ins, column == id_), false())
    same = of_address(person.email)
    condition = and_(here.sign_ins, or_(column == id_, same.sign_ins))
    return SignInOwner(condition, and_(here.links, same.links), same.email)


async def list_sessions(
    conn: AsyncConnection, owner: SignInOwner, now: dt.datetime
) -> Sequence[Row[Any]]:
    """Return the valid sign-ins, the newest first, each with its practice and person."""
    of_client = and_(Client.practice_id == TOKEN.practice_id, Client.id == TOKEN.client_id)
    of_contact = and_(Contact.practice_id == TOKEN.practice_id, Contact.id == TOKEN.contact_id)
    name = func.coalesce(Client.name, Contact.name).label("person")
    columns: list[Any] = [*TOKEN, name, Practice.name.label("practice")]
    result = await conn.execute(
        select(*columns)
        .select_from(Token)
        .join(Practice, Practice.id == TOKEN.practice_id)
        .outerjoin(Client, of_client)
        .outerjoin(Contact, of_contact)
        .where(*is_valid(now), tokens.has_address(Token.__table__), owner.sign_ins)
        .order_by(TOKEN.created_at.desc(), TOKEN.id.desc())
    )
    return result.all()


async def end_sessions(
    conn: AsyncConnection, keys: TokenKeys, owner: SignInOwner, now: dt.datetime
) -> Sequence[Row[Any]]:
    """End sign-ins, and the requests and links of the same address; return the sign-ins' rows.

    The order of the statements ensures that no concurrent sign-in is missed: a link is created in a
    transaction that locks its request, and a sign-in in one that locks its link.
    """
    if owner.email is not None:
        mine = REQUEST.email_hash.in_(keys.hashes(owner.email)), REQUEST.expires_at > now
        over = {"expires_at": now, "done_at": now, "email": None}
        await conn.execute(update(SignInRequest).where(*mine).values(over))
    await conn.execute(delete(SignInLink).where(owner.links))
    ended = update(Token).where(*is_valid(now), owner.sign_ins).values(revoked_at=now)
    return (await conn.execute(ended.returning(*TOKEN))).all()


def is_valid(now: dt.datetime) -> tuple[ColumnElement[bool], ...]:
    return TOKEN.is_sign_in, tokens.is_valid_token(Token.__table__, now, now - tokens.IDLE)
