"""People: the clients and contacts whose e-mail address it is."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, cast, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Client, Contact, Practice
from models.names import folded_email
from models.row import ID

# An address of more people is nobody's own: one that is filled in where none is known.
MOST = 20


class TooManyPeople(Exception):
    """More people have the address than anybody's own has."""


async def people(
    conn: AsyncConnection, email: str, practice_id: str | None = None
) -> Sequence[Row[Any]]:
    """Return who has this address, in all practices or in one.

    The order is by practice, clients before contacts: of several people of a practice the first
    is who a sign-in begins as.
    """
    both = union_all(
        *(known(table, email, practice_id) for table in (Client, Contact)),
    ).limit(MOST + 1)
    found = (await conn.execute(both)).all()
    if len(found) > MOST:
        raise TooManyPeople
    return sorted(found, key=lambda it: (it.practice, it.client_id is None, it.name, it.id))


def known(table: Any, email: str, practice_id: str | None = None) -> Select[Any]:
    """Select the rows of a table that have an address."""
    is_client = table is Client
    mine = (
        select(
            Practice.id.label("practice_id"),
            Practice.name.label("practice"),
            Practice.portal_url,
            table.id,
            (table.id if is_client else cast(null(), ID)).label("client_id"),
            (cast(null(), ID) if is_client else table.id).label("contact_id"),
            table.name,
            table.email,
        )
        .join(Practice, Practice.id == table.practice_id)
        .where(table.mailbox == folded_email(email))
    )
    return mine if practice_id is None else mine.where(table.practice_id == practice_id)
