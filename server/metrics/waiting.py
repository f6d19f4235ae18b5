"""The rows that wait in the database: payments that are not final, Stripe's events, and mail."""

import datetime as dt
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ACTIVE_STATES, Payment, SignInRequest, StripeEvent

# By a row's labels: how many wait, and when the oldest one came.
Waiting = Mapping[tuple[str, ...], tuple[int, dt.datetime | None]]


async def waiting_rows(conn: AsyncConnection) -> Mapping[str, Waiting]:
    """Return the number and the oldest of each kind of row that waits."""
    of_payments = (
        select(Payment.state, func.count(), func.min(Payment.created_at))
        .where(Payment.state.in_(ACTIVE_STATES))
        .group_by(Payment.state)
    )
    states: dict[tuple[str, ...], tuple[int, dt.datetime | None]] = {
        (state.lower(),): (0, None) for state in ACTIVE_STATES
    }
    for state, count, oldest in await conn.execute(of_payments):
        states[(state.lower(),)] = count, oldest
    of_events = select(func.count(), func.min(StripeEvent.received_at)).where(
        StripeEvent.handled_at.is_(None)
    )
    of_mail = select(func.count(), func.min(SignInRequest.created_at)).where(
        SignInRequest.done_at.is_(None)
    )
    events = (await conn.execute(of_events)).one()
    mail = (await conn.execute(of_mail)).one()
    return {
        "portal_payments_waiting": states,
        "portal_webhook_inbox": {(): (events[0], events[1])},
        "portal_mail_outbox": {(): (mail[0], mail[1])},
    }
