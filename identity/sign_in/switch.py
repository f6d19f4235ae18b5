"""The switch of a sign-in to another person with the same address, in the same practice."""

import datetime as dt
from dataclasses import replace

from sqlalchemy import update

from billing import audit_log
from billing.audit_log import Actor
from billing.errors import NotFoundError
from identity import tokens
from identity.sign_in.context import SignInContext
from identity.sign_in.people import TooManyPeople, people
from identity.tokens import Subject
from models import AccessAction, ActorKind, Token

PATH = ("input", "id")


async def switch_person(
    context: SignInContext, by: Actor, email: str, person_id: str, now: dt.datetime
) -> None:
    """Switch a sign-in's token to another person with its address, or raise NotFound.

    The token's text stays. Each request looks the token up, so all later requests have the
    permissions of the other person, in every process.
    """
    token, practice_id, token_id = Token.__table__, by.practice_id, by.token_id
    async with context.engine.begin() as conn:
        try:
            found = await people(conn, email, practice_id)
        except TooManyPeople:
            found = []
        person = next((one for one in found if one.id == person_id), None)
        if person is None:
            raise NotFoundError("No person with this id has your address.", PATH)
        subject = Subject(practice_id, person.client_id, person.contact_id)
        mine = token.c.practice_id == practice_id, token.c.id == token_id, token.c.email == email
        works = tokens.is_valid_token(token, now, now - tokens.IDLE)
        values = {"client_id": subject.client_id, "contact_id": subject.contact_id}
        switched = update(Token).where(*mine, works).values(kind=subject.kind, **values)
        if not (await conn.execute(switched)).rowcount:
            raise NotFoundError("The sign-in is over.", PATH)
        other_id = person.client_id or person.contact_id
        other = replace(by, kind=ActorKind(subject.kind), actor_id=other_id)
        person_ids = person.client_id, person.contact_id
        await audit_log.record_of_person(conn, other, person_ids, now, AccessAction.SIGN_IN)
