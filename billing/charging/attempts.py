"""How many declines are too many: whoever tries stolen cards is stopped before Stripe is asked."""

import datetime as dt

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.refusals import TooManyAttempts
from models import Payment, PaymentState

WITHIN = dt.timedelta(hours=1)
OF_CLIENT, OF_ADDRESS = 5, 20


async def allow(
    rows: AsyncConnection,
    practice_id: str,
    client_id: str,
    address_hash: str | None,
    now: dt.datetime,
) -> None:
    """TooManyAttempts, where the client or the network address had too many in the last hour."""
    until = [await full_until(rows, practice_id, Payment.client_id == client_id, OF_CLIENT, now)]
    if address_hash is not None:
        same = Payment.address_hash == address_hash
        until.append(await full_until(rows, practice_id, same, OF_ADDRESS, now))
    if ends := [end for end in until if end is not None]:
        raise TooManyAttempts(max(ends))


async def full_until(
    rows: AsyncConnection,
    practice_id: str,
    whose: ColumnElement[bool],
    most: int,
    now: dt.datetime,
) -> dt.datetime | None:
    """When the last `most` declines are no longer all of the last hour; None if they aren't."""
    declined = (
        select(Payment.changed_at)
        .where(
            Payment.practice_id == practice_id,
            whose,
            Payment.state == PaymentState.FAILED,
            Payment.changed_at > now - WITHIN,
        )
        .order_by(Payment.changed_at.desc())
        .offset(most - 1)
        .limit(1)
    )
    first: dt.datetime | None = await rows.scalar(declined)
    return first and first + WITHIN
