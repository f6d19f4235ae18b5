"""The rows that wait in the database: payments that are not final, Stripe's events, mail, and
events for other systems.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.outbox.delivery import is_after
from models import (
    ACTIVE_STATES,
    EndpointStatus,
    EventEndpoint,
    OutboxEvent,
    Payment,
    SignInRequest,
    StripeEvent,
)

# The states of endpoints whose events wait.
WAITING_STATES = (EndpointStatus.ACTIVE, EndpointStatus.PAUSED)

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
    endpoints: dict[tuple[str, ...], tuple[int, dt.datetime | None]] = {
        (state.lower(),): (0, None) for state in WAITING_STATES
    }
    for state, count, oldest in await conn.execute(events_by_state()):
        endpoints[(state.lower(),)] = count, oldest
    events = (await conn.execute(of_events)).one()
    mail = (await conn.execute(of_mail)).one()
    return {
        "portal_payments_waiting": states,
        "portal_webhook_inbox": {(): (events[0], events[1])},
        "portal_mail_outbox": {(): (mail[0], mail[1])},
        "portal_webhook_outbox": endpoints,
    }


def events_by_state() -> Select[*tuple[Any, ...]]:
    """Select the events that wait for endpoints: their number and the oldest, by the endpoint's
    state.
    """
    waiting = and_(
        OutboxEvent.practice_id == EventEndpoint.practice_id,
        is_after(EventEndpoint.after_version, EventEndpoint.after_position),
    )
    return (
        select(EventEndpoint.status, func.count(), func.min(OutboxEvent.occurred_at))
        .join_from(EventEndpoint, OutboxEvent, waiting)
        .where(EventEndpoint.status.in_(WAITING_STATES))
        .group_by(EventEndpoint.status)
    )
