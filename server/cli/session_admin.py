"""Sign-ins on the command line: listed and ended."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from sqlalchemy import Row
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing import audit_log
from identity.sign_in import sessions
from models import AccessAction, Client, Contact
from server.cli.operators import operator
from server.cli.rows import row_id_of, writing
from server.clock import utc_now
from server.command_errors import CommandError
from server.settings import Settings


class NotMeant(CommandError):
    """The selection of sign-ins is ambiguous or unknown. The text gives the reason."""


@dataclass(frozen=True)
class SignInFilter:
    """The arguments of a command; at most one is given."""

    id: str | None = None
    practice: str | None = None
    client: str | None = None
    contact: str | None = None
    address: str | None = None

    @property
    def count(self) -> int:
        return sum(value is not None for value in astuple(self))


async def list_sign_ins(
    settings: Settings, which: SignInFilter, command: str = "portal sessions list"
) -> list[str]:
    """Return a line for each valid sign-in, the newest first."""
    async with writing(settings) as conn:
        found = await sessions.list_sessions(conn, await sign_in_condition(conn, which), utc_now())
        await record_endings(conn, found, command, AccessAction.READ)
    return [sign_in_line(row) for row in found]


async def end_matching(settings: Settings, which: SignInFilter) -> int:
    """End sign-ins, and return their number."""
    if which.count != 1:
        raise NotMeant("Give exactly one of: an id, --practice, --client, --contact or --address.")
    async with writing(settings) as conn:
        owner = await sign_in_condition(conn, which)
        found = await sessions.end_sessions(conn, settings.token_keys, owner, utc_now())
        await record_endings(conn, found, "portal sessions end", AccessAction.SIGN_OUT)
    return len(found)


async def record_endings(
    conn: AsyncConnection, found: Sequence[Row[Any]], command: str, action: AccessAction
) -> None:
    """Record the operator's action on the sign-ins of persons."""
    for practice_id, *person in {(one.practice_id, one.client_id, one.contact_id) for one in found}:
        by = operator(practice_id, command)
        await audit_log.record_of_person(conn, by, (person[0], person[1]), utc_now(), action)


async def sign_in_condition(conn: AsyncConnection, which: SignInFilter) -> sessions.SignInOwner:
    """Return the selection of sign-ins."""
    if which.count > 1:
        raise NotMeant("Give at most one of: --practice, --client, --contact or --address.")
    try:
        if which.client is not None:
            return await sessions.of_person(conn, Client, row_id_of(which.client))
        if which.contact is not None:
            return await sessions.of_person(conn, Contact, row_id_of(which.contact))
    except (sessions.NoSuchPerson, StatementError):
        raise NotMeant("The database has no such client or contact.") from None
    if which.id is not None:
        return sessions.of_sign_in(row_id_of(which.id))
    if which.practice is not None:
        return sessions.sessions_of_practice(row_id_of(which.practice))
    if which.address is not None:
        return sessions.of_address(which.address)
    return sessions.everybodys()


def sign_in_line(row: Row[Any]) -> str:
    since, used, until = (
        f"{moment:%Y-%m-%d %H:%M}" for moment in (row.created_at, row.last_used_at, row.expires_at)
    )
    who = f"{row.kind:10} {row.person} <{row.email}>, {row.practice}"
    return f"{row.id}  since {since}  used {used}  until {until}  {who}"
