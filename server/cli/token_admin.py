"""Tokens on the command line: issued, listed and revoked."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing import audit_log
from identity import tokens
from identity.sign_in import sessions
from identity.tokens import PERSONAL_SCOPES, Subject
from models import AccessAction, Client, Contact, Practice, Scope, Token, database
from server.cli.operators import operator
from server.cli.rows import find_row, row_id_of, writing
from server.cli.session_admin import record_endings
from server.clock import utc_now
from server.command_errors import CommandError
from server.settings import Settings

# The tables of token owners, by the prefix of their ids. A contact's id has none.
OWNERS: dict[str, type[Client] | type[Contact] | type[Practice]] = {
    "cli": Client,
    "": Contact,
    "pra": Practice,
}
SCOPES = {scope.written: scope for scope in Scope}


class NotGiven(CommandError):
    """No practice, client or contact fits the token."""


async def issue_token(
    settings: Settings,
    name: str,
    practice: str,
    client: str | None,
    contact: str | None,
    scopes: Sequence[str],
    lasts: dt.timedelta,
    command: str = "portal token create",
) -> str:
    """Create a token and return its text. A client's or a contact's token reads all of
    their data.
    """
    if client and contact:
        raise NotGiven("A token is for a client or for a contact, not for both.")
    subject = Subject(
        row_id_of(practice), client and row_id_of(client), contact and row_id_of(contact)
    )
    granted = PERSONAL_SCOPES if client or contact else [parse_scope(scope) for scope in scopes]
    try:
        async with writing(settings) as conn:
            now = utc_now()
            _, token = await tokens.create_token(
                conn, settings.token_keys.newest, subject, name, frozenset(granted), now, lasts
            )
            by = operator(subject.practice_id, command)
            person = subject.client_id, subject.contact_id
            await audit_log.record_of_person(conn, by, person, now)
    except StatementError as error:
        if database.is_unmigrated(error.orig):
            raise
        raise NotGiven("The database has no such practice, client or contact.") from None
    return token


def parse_scope(scope: str) -> Scope:
    try:
        return SCOPES[scope]
    except KeyError:
        raise NotGiven(f"There is no scope {scope}. There are: {', '.join(SCOPES)}.") from None


async def list_tokens(settings: Settings) -> list[str]:
    """Return a line for each issued token, the newest first, without sign-ins."""
    statement = select(Token.__table__).where(~Token.is_sign_in).order_by(Token.id.desc())
    now = utc_now()
    async with writing(settings) as conn:
        rows = (await conn.execute(statement)).all()
        for practice_id in sorted({row.practice_id for row in rows}):
            by = operator(practice_id, "portal token list")
            await audit_log.record(conn, by, None, now, AccessAction.READ)
    return [token_line(row, now) for row in rows]


def token_line(row: object, now: dt.datetime) -> str:
    token = row._mapping  # type: ignore[attr-defined]
    until = token["expires_at"]
    state = "revoked" if token["revoked_at"] else "expired" if until <= now else "works"
    scopes = " ".join(Scope(scope).written for scope in token["scopes"])
    who = f"{token['kind']:11} {token['name']}"
    used = f"{token['last_used_at']:%Y-%m-%d %H:%M}" if token["last_used_at"] else "never"
    return f"{token['id']}  {state:8} until {until:%Y-%m-%d}  used {used:16}  {who}  [{scopes}]"


@dataclass(frozen=True)
class TokenOwner:
    """A client, a contact or a practice, all of whose tokens are revoked."""

    table: type[Client] | type[Contact] | type[Practice]
    id: str
    practice_id: str
    description: str


async def owner_of(settings: Settings, id_: str) -> TokenOwner:
    """Return the client, contact or practice with an id."""
    prefix = id_.partition("_")[0] if "_" in id_ else ""
    table = OWNERS.get(prefix)
    if table is None:
        raise NotGiven(f"{id_} is not the id of a client (cli_…), a contact or a practice (pra_…).")
    async with writing(settings) as conn:
        row = await find_row(conn, table, id_)
    kind = table.__tablename__
    practice_id = row.id if table is Practice else row.practice_id
    return TokenOwner(table, row.id, practice_id, f"the {kind} {row.name}")


async def revoke_all(settings: Settings, owner: TokenOwner) -> str:
    """Revoke all tokens of an owner, and end all sign-ins, links and codes, in one transaction.

    A person's sign-ins are those of everybody in the practice with the same address.
    """
    now, command = utc_now(), "portal token revoke --all-of"
    async with writing(settings) as conn:
        signed_in = await sign_ins_of(conn, owner)
        ended = await sessions.end_sessions(conn, settings.token_keys, signed_in, now)
        issued = await tokens.revoke_tokens(conn, issued_to(owner), now)
        await record_endings(conn, ended, command, AccessAction.SIGN_OUT)
        people = {(row.client_id, row.contact_id) for row in issued}
        for client_id, contact_id in sorted(people, key=str):
            by = operator(owner.practice_id, command)
            await audit_log.record_of_person(conn, by, (client_id, contact_id), now)
    return f"Revoked tokens of {owner.description}: {len(issued)}. Ended sign-ins: {len(ended)}."


async def sign_ins_of(conn: AsyncConnection, owner: TokenOwner) -> sessions.SignInOwner:
    """Return the selection of an owner's sign-ins."""
    if owner.table is Practice:
        return sessions.sessions_of_practice(owner.id)
    table = Client if owner.table is Client else Contact
    return await sessions.of_person(conn, table, owner.id)


def issued_to(owner: TokenOwner) -> ColumnElement[bool]:
    """Return the condition for the tokens that were issued to an owner, without sign-ins."""
    columns = {Client: Token.client_id, Contact: Token.contact_id, Practice: Token.practice_id}
    return and_(
        Token.practice_id == owner.practice_id, columns[owner.table] == owner.id, ~Token.is_sign_in
    )


async def revoked(settings: Settings, id_: str) -> bool:
    now, of_token = utc_now(), select(Token.__table__).where(Token.id == id_)
    async with writing(settings) as conn:
        if not await tokens.revoke_token(conn, id_, now):
            return False
        token = (await conn.execute(of_token)).one()
        by = operator(token.practice_id, "portal token revoke")
        person = token.client_id, token.contact_id
        await audit_log.record_of_person(conn, by, person, now)
        return True
