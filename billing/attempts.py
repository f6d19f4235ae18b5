"""How many declines are too many: whoever tries stolen cards is stopped before Stripe is asked."""

import datetime as dt

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.refusals import TooManyAttempts
from models import CardSetup, Payment, PaymentState, SetupState

WITHIN = dt.timedelta(hours=1)
OF_CLIENT, OF_ADDRESS = 5, 20
# Forms for cards that a client and an address are given in an hour.
FORMS_OF_CLIENT, FORMS_OF_ADDRESS = 20, 60


async def allow(
    rows: AsyncConnection,
    practice_id: str,
    client_id: str,
    address_hash: str | None,
    now: dt.datetime,
) -> None:
    """TooManyAttempts, where the client or the network address had too many in the last hour."""
    until = [
        full(await declines(rows, practice_id, "client_id", client_id, OF_CLIENT, now), OF_CLIENT)
    ]
    if address_hash is not None:
        same = await declines(rows, practice_id, "address_hash", address_hash, OF_ADDRESS, now)
        until.append(full(same, OF_ADDRESS))
    if ends := [end for end in until if end is not None]:
        raise TooManyAttempts(max(ends))


async def allow_form(
    conn: AsyncConnection,
    practice_id: str,
    client_id: str,
    address_hash: str | None,
    now: dt.datetime,
) -> None:
    """Raise TooManyAttempts, where the client or the address was given too many forms of late."""
    ends = [
        full(await forms(conn, practice_id, column, value, most, now), most)
        for column, value, most in (
            ("client_id", client_id, FORMS_OF_CLIENT),
            ("address_hash", address_hash, FORMS_OF_ADDRESS),
        )
        if value is not None
    ]
    if until := [end for end in ends if end is not None]:
        raise TooManyAttempts(max(until), "Too many forms for cards were opened. Try again later.")


async def forms(
    conn: AsyncConnection, practice_id: str, column: str, value: str, most: int, now: dt.datetime
) -> list[dt.datetime]:
    """Return when forms were given in the last hour, the latest first.

    One that Stripe has not made doesn't count. One that newer forms closed before does, because
    Stripe may be making it.
    """
    columns = CardSetup.__table__.c
    given = (
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
    return list(await conn.scalars(given))


def full(declined: list[dt.datetime], most: int) -> dt.datetime | None:
    """When the last `most` declines are no longer all of the last hour; None if they aren't."""
    return declined[most - 1] + WITHIN if len(declined) >= most else None


async def declines(
    rows: AsyncConnection, practice_id: str, column: str, whose: str, most: int, now: dt.datetime
) -> list[dt.datetime]:
    """When cards were declined in the last hour, the latest first: of payments, and of cards that
    were to be kept."""
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
        found += await rows.scalars(of_late)
    return sorted(found, reverse=True)
