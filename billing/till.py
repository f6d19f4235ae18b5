"""What charging needs at hand: the database that is written, Stripe, and the clock."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.access import Actor
from billing.gateway import Stripe
from billing.practices import PracticeMisconfigured, zone
from models import Client, Payment, PaymentState, Practice
from models.turns import Turns

# How long a request waits for others that are at the same client.
TURN_S = 5.0
AT_REST = (PaymentState.SUCCEEDED, PaymentState.FAILED, PaymentState.CANCELED)


@dataclass(frozen=True)
class Till:
    """`now` is the clock, in UTC; `by`: who is at work, where it isn't the server itself."""

    engine: AsyncEngine
    stripe: Stripe
    now: Callable[[], dt.datetime]
    by: Actor | None = None
    turns: Turns = field(default_factory=lambda: Turns(TURN_S))


def day(moment: dt.datetime, time_zone: str) -> dt.date:
    """Return the practice's day at a moment; PracticeMisconfigured where its zone is unknown."""
    found = zone(time_zone)
    if found is None:
        raise PracticeMisconfigured(f"there is no time zone {time_zone!r}")
    return moment.astimezone(found).date()


async def lock(rows: AsyncConnection, practice_id: str, client_id: str) -> None:
    """Nobody else writes to the client's account until this transaction ends."""
    mine = select(Client.id).where(Client.practice_id == practice_id, Client.id == client_id)
    await rows.execute(mine.with_for_update())


@asynccontextmanager
async def locked(till: Till, practice_id: str, client_id: str) -> AsyncIterator[AsyncConnection]:
    """Give a transaction in which nobody else writes to the client's account.

    Who waits for the same client waits without a connection.
    """
    async with till.turns.of(practice_id, client_id), till.engine.begin() as conn:
        await lock(conn, practice_id, client_id)
        yield conn


async def payment(rows: AsyncConnection, practice_id: str, payment_id: str) -> Row[Any]:
    """Return the payment's columns, with its practice's currency and time zone."""
    columns: list[Any] = [*Payment.__table__.c, Practice.currency, Practice.time_zone]
    found = await rows.execute(
        select(*columns)
        .join(Practice, Practice.id == Payment.practice_id)
        .where(Payment.practice_id == practice_id, Payment.id == payment_id)
    )
    return found.one()
