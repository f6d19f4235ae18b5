"""Hints: Stripe objects that the server itself has to read again, kept in the inbox of events.

A hint is committed with the write that makes it necessary. So the object is read after that write,
even if the process ends in between.
"""

import datetime as dt

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payments.status import OWN
from models import StripeEvent
from models.ids import new_id

TYPE = "portal.look"


async def leave(conn: AsyncConnection, account: str, stripe_id: str, now: dt.datetime) -> None:
    """Have the inbox's worker read an object from Stripe once this transaction is committed."""
    await conn.execute(
        insert(StripeEvent).values(
            id=f"hint_{new_id()}",
            account=None if account == OWN else account,
            type=TYPE,
            object_id=stripe_id,
            received_at=now,
        )
    )
