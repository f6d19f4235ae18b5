"""The context of payments: the database for writes, Stripe, and the clock."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.audit_log import Actor
from billing.ledger.locks import lock_client, lock_contact
from billing.practices import PracticeMisconfigured
from billing.stripe import Stripe
from billing.time_zones import zone
from models import Payment, Practice
from models.row_turns import Turns

# How long a request waits for other requests for the same client.
TURN_S = 5.0


@dataclass(frozen=True)
class PaymentContext:
    """The context of a payment. `now` is the clock, in UTC; `actor` is the actor, unless the server
    acts by itself.
    """

    engine: AsyncEngine
    stripe: Stripe
    now: Callable[[], dt.datetime]
    actor: Actor | None = None
    turns: Turns = field(default_factory=lambda: Turns(TURN_S))


def local_day(moment: dt.datetime, time_zone: str) -> dt.date:
    """Return the practice's date at a moment. Raise PracticeMisconfigured if its zone
    is unknown.
    """
    found = zone(time_zone)
    if found is None:
        raise PracticeMisconfigured(f"there is no time zone {time_zone!r}")
    return moment.astimezone(found).date()


@asynccontextmanager
async def client_lock(
    context: PaymentContext, practice_id: str, client_id: str
) -> AsyncIterator[AsyncConnection]:
    """Open a transaction with exclusive access to the client's account.

    Requests for the same client wait for their turn without holding a connection.
    """
    async with context.turns.of(practice_id, client_id), context.engine.begin() as conn:
        await lock_client(conn, practice_id, client_id)
        yield conn


@asynccontextmanager
async def contact_lock(
    context: PaymentContext, practice_id: str, contact_id: str
) -> AsyncIterator[AsyncConnection]:
    """Open a transaction with exclusive access to the contact's customers at Stripe."""
    async with context.turns.of(practice_id, contact_id), context.engine.begin() as conn:
        await lock_contact(conn, practice_id, contact_id)
        yield conn


async def read_payment(conn: AsyncConnection, practice_id: str, payment_id: str) -> Row[Any]:
    """Return the payment's columns, and the currency and time zone of its practice."""
    columns: list[Any] = [*Payment.__table__.c, Practice.currency, Practice.time_zone]
    result = await conn.execute(
        select(*columns)
        .join(Practice, Practice.id == Payment.practice_id)
        .where(Payment.practice_id == practice_id, Payment.id == payment_id)
    )
    return result.one()
