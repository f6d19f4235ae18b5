"""Limits on declined cards: they stop tests of stolen cards before a request reaches Stripe."""

import datetime as dt

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.errors import TooManyAttemptsError
from models import CardSetup, Payment, PaymentState, SetupState

WITHIN = dt.timedelta(hours=1)
OF_CLIENT, OF_ADDRESS = 5, 20
# The card forms that a client and a network address get in an hour.
FORMS_OF_CLIENT, FORMS_OF_ADDRESS = 20, 60


async def allow(
    conn: AsyncConnection,
    practice_id: str,
    client_id: str,
    address_hash: str | None,
    now: dt.datetime,
) -> None:
    """Raise TooManyAttempts if the client or the network address had too many declines
    in an hour.
    """
    until = [
        full(await declines(conn, practice_id, "client_id", client_id, OF_CLIENT, now), OF_CLIENT)
    ]
    if address_hash is not None:
        same = await declines(conn, practice_id, "address_hash", address_hash, OF_ADDRESS, now)
        until.append(full(same, OF_ADDRESS))
    if ends := [end for end in until if end is not None]:
        raise TooManyAttemptsError(max(ends))


async def allow_form(
    conn: AsyncConnection,
    practice_id: str,
    client_id: str,
    address_hash: str | None,
    now: dt.datetime,
) -> None:
    """Raise TooManyAttempts if the client or the address got too many forms in the last hour."""
    ends = [
        full(await forms(conn, practice_id, column, value, most, now), most)
        for column, value, most in (
            ("client_id", client_id, FORMS_OF_CLIENT),
            ("address_hash", address_hash, FORMS_OF_ADDRESS),
        )
        if value is not None
    ]
    if until := [end for end in ends if end is not None]:
        raise TooManyAttemptsError(
            max(until), "Too many forms for cards were opened. Try again later."
        )


async def forms(
    conn: AsyncConnection, practice_id: str, column: str, value: str, most: int, now: dt.datetime
) -> list[dt.datetime]:
    """Return the creation times of the forms of the last hour, the latest first.

    A form counts unless Stripe has certainly not created it. A form that newer forms closed counts
    too, because Stripe may be creating it.
    """
    columns = CardSetup.__table__.c
    statement = (
        select(columns.created_at)
        .where(
            columns.practice_id == practice_id,
            columns[column] == value,
            columns.created_at > now - WITHIN,
            columns.state != SetupState.UNMADE,
        )
        .order_by(columns.created_at.desc())
        .limit(most)
    )
    return list(await conn.scalars(statement))


def full(declined: list[dt.datetime], most: int) -> dt.datetime | None:
    """Return when fewer than `most` declines fall in the last hour, or None if that is so now."""
    return declined[most - 1] + WITHIN if len(declined) >= most else None


async def declines(
    conn: AsyncConnection, practice_id: str, column: str, whose: str, most: int, now: dt.datetime
) -> list[dt.datetime]:
    """Return the times of declines in the last hour, the latest first. Both payments and forms for
    cards count.
    """
    found: list[dt.datetime] = []
    for table, state in ((Payment, PaymentState.FAILED), (CardSetup, SetupState.REFUSED)):
        columns = table.__table__.c
        of_late = (
            select(columns.changed_at)
            .where(
                columns.practice_id == practice_id,
                columns[column] == whose,
                columns.state == state,
                columns.changed_at > now - WITHIN,
            )
            .order_by(columns.changed_at.desc())
            .limit(most)
        )
        found += await conn.scalars(of_late)
    return sorted(found, reverse=True)
