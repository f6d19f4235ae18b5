"""People: the clients and contacts with an e-mail address."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, cast, false, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Client, Contact, Practice
from models.names import folded_email
from models.row import ID

# An address with more people is no personal one, but a placeholder for a missing address.
MOST = 20


class TooManyPeople(Exception):
    """More people share the address than a personal one could have."""


async def people(
    conn: AsyncConnection, email: str, practice_id: str | None = None
) -> Sequence[Row[Any]]:
    """Return the people with this address, in all practices or in one.

    They are ordered by practice, clients before contacts, and records that go on before those that
    are merged into them. A sign-in begins as the first person of its practice.
    """
    both = union_all(
        *(with_address(table, email, practice_id) for table in (Client, Contact)),
    ).limit(MOST + 1)
    found = (await conn.execute(both)).all()
    if len(found) > MOST:
        raise TooManyPeople
    return sorted(
        found, key=lambda it: (it.practice, it.client_id is None, it.is_merged, it.name, it.id)
    )


def with_address(table: Any, email: str, practice_id: str | None = None) -> Select[Any]:
    """Select the rows of a table with an address."""
    is_client = table is Client
    statement = (
        select(
            Practice.id.label("practice_id"),
            Practice.name.label("practice"),
            Practice.portal_url,
            table.id,
            (table.id if is_client else cast(null(), ID)).label("client_id"),
            (cast(null(), ID) if is_client else table.id).label("contact_id"),
            (table.merged_into.is_not(None) if is_client else false()).label("is_merged"),
            table.name,
            table.email,
        )
        .join(Practice, Practice.id == table.practice_id)
        .where(table.mailbox == folded_email(email))
    )
    return statement if practice_id is None else statement.where(table.practice_id == practice_id)
