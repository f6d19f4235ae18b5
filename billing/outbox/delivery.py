"""The delivery of events: each endpoint gets its events in their order, each at least once.

A worker leases an endpoint for a turn of some seconds. After each event that the endpoint accepts,
the worker moves the endpoint's place in the outbox. If the worker dies in between, the next one
sends that event again. An endpoint that fails is left alone, longer each time, and its events wait.
"""

import asyncio
import datetime as dt
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.background import repeat_until_done
from billing.encryption import FieldKeys
from billing.outbox.addresses import AddressRules
from billing.outbox.endpoints import NO_FAILURES, is_endpoint, secrets_of_endpoint
from billing.outbox.messages import message_of_event
from billing.outbox.sender import GONE, REQUEST_S, ReceiverAnswer, Sender
from models import EndpointStatus, EventEndpoint, OutboxEvent
from models.leases import Excluded, Lease, Queue

LOOK_EVERY_S = 2.0
# The time in which a turn begins requests, and the events that it reads at a time.
TURN_S, EVENTS_AT_ONCE = 5.0, 100
# Endpoints of all practices that are served at once, and of one practice.
AT_ONCE, OF_PRACTICE = 8, 2
# The pause after a failure. It doubles each time, up to the longest one.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 3_600.0
# Pauses differ by this part, so that endpoints on one machine are not asked at the same time.
JITTER = 0.25
# An endpoint that fails for so long is paused.
GIVEN_UP_AFTER = dt.timedelta(days=3)
UNREADABLE = "no key of FIELD_KEY decrypts its secret"

log = logging.getLogger("portal.webhooks")
QUEUE = Queue(
    "webhook endpoint",
    EventEndpoint,
    log,
    within_s=TURN_S + REQUEST_S + 5.0,
    at_once=AT_ONCE,
    groups=("practice_id",),
    of_group=OF_PRACTICE,
)


@dataclass(frozen=True)
class EventDelivery:
    """The worker of a serving process. `now` is the clock of pauses and signatures."""

    engine: AsyncEngine
    now: Callable[[], dt.datetime]
    keys: FieldKeys
    rules: AddressRules
    jitter: random.Random = field(default_factory=random.Random)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await repeat_until_done(self.deliver_waiting)

    async def deliver_waiting(self) -> None:
        """Give turns to the endpoints with events that wait, until there are none."""
        while await self.give_turns():
            pass

    async def give_turns(self) -> int:
        """Give each endpoint with events that wait one turn. Return the number of turns."""
        return await QUEUE.run(self.engine, self.claim, self.give_turn)

    async def claim(self, but: Excluded) -> Lease | None:
        """Lease the endpoint whose last turn was the longest ago."""
        now, columns = self.now(), EventEndpoint
        conditions = (
            columns.status == EndpointStatus.ACTIVE,
            or_(columns.attempt_at.is_(None), columns.attempt_at <= now),
            has_events(),
        )
        order = [columns.attempted_at.asc().nulls_first()]
        return await QUEUE.claim(self.engine, but, *conditions, order=order, attempted_at=now)

    async def give_turn(self, endpoint: Row[Any]) -> None:
        """Send the next events to an endpoint, until one fails or the turn is over."""
        turn = Turn(self, endpoint)
        ends_at = time.monotonic() + TURN_S
        async with Sender(self.rules, endpoint.url) as sender:
            while events := await turn.next_events():
                if not await turn.deliver_all(sender, events, ends_at):
                    break
        await turn.end()

    def pause(self, failures: int, asked_s: float = 0.0) -> dt.timedelta:
        """Return the time for which an endpoint is left alone after its failures.

        `asked_s` is the pause that the endpoint asks for: it gets that, within the longest pause.
        """
        own_s = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20), LONGEST_PAUSE_S)
        pause_s = own_s * self.jitter.uniform(1 - JITTER, 1 + JITTER)
        return dt.timedelta(seconds=max(pause_s, min(asked_s, LONGEST_PAUSE_S)))


@dataclass
class Turn:
    """A turn of a leased endpoint, and the place that it has reached."""

    delivery: EventDelivery
    endpoint: Row[Any]

    def __post_init__(self) -> None:
        self.place = self.endpoint.after_version, self.endpoint.after_position
        self.written = self.place
        self.failures, self.failing_since = self.endpoint.failures, self.endpoint.failing_since

    async def next_events(self) -> Sequence[Row[Any]]:
        """Return the next events of the practice."""
        of_practice = OutboxEvent.practice_id == self.endpoint.practice_id
        order = OutboxEvent.version, OutboxEvent.position
        statement = (
            select(OutboxEvent.__table__)
            .where(of_practice, is_after(*self.place))
            .order_by(*order)
            .limit(EVENTS_AT_ONCE)
        )
        async with self.delivery.engine.connect() as conn:
            return (await conn.execute(statement)).all()

    async def deliver_all(self, sender: Sender, events: Sequence[Row[Any]], ends_at: float) -> bool:
        """Send events, but for the kinds that the endpoint doesn't want. Return whether the turn
        goes on.
        """
        for event in events:
            if self.endpoint.kinds and event.kind not in self.endpoint.kinds:
                self.place = event.version, event.position
            elif not await self.deliver(sender, event) or time.monotonic() > ends_at:
                return False
        return await self.write({}) if self.place != self.written else True

    async def deliver(self, sender: Sender, event: Row[Any]) -> bool:
        """Send an event and write the result. Return whether the turn goes on."""
        answer = await self.send(sender, event)
        if answer.failure is not None:
            await self.note_failure(answer)
            return False
        self.place = event.version, event.position
        self.failures, self.failing_since = 0, None
        return await self.write(NO_FAILURES)

    async def send(self, sender: Sender, event: Row[Any]) -> ReceiverAnswer:
        now = self.delivery.now()
        secrets = secrets_of_endpoint(self.delivery.keys, self.endpoint, now)
        if secrets is None:
            return ReceiverAnswer(failure=UNREADABLE)
        message = message_of_event(event)
        return await sender.send(message.body, message.headers(secrets, now))

    async def note_failure(self, answer: ReceiverAnswer) -> None:
        """Write a failure: a pause, or the end after three days or by a 410."""
        now, failures = self.delivery.now(), self.failures + 1
        since = self.failing_since or now
        status = EndpointStatus.ACTIVE
        if answer.status == GONE:
            status = EndpointStatus.GONE
        elif now - since >= GIVEN_UP_AFTER:
            status = EndpointStatus.PAUSED
        values = {
            "status": status,
            "failures": failures,
            "failing_since": since,
            "last_error": answer.failure,
            "attempt_at": now + self.delivery.pause(failures, answer.asked_pause_s(now)),
        }
        if await self.write(values):
            self.log_failure(status, failures, answer)

    def log_failure(self, status: EndpointStatus, failures: int, answer: ReceiverAnswer) -> None:
        endpoint = f"whe_{self.endpoint.id} of practice pra_{self.endpoint.practice_id}"
        if status is not EndpointStatus.ACTIVE:
            log.error("alert: webhook endpoint %s is %s: %s", endpoint, status, answer.failure)
        else:
            level = logging.WARNING if failures == 1 else logging.DEBUG
            log.log(level, "webhook endpoint %s: %s; it is tried again", endpoint, answer.failure)

    async def write(self, values: Mapping[str, Any]) -> bool:
        """Write the place and other values, unless this turn's lease is over. Return whether they
        were written.
        """
        place = dict(zip(("after_version", "after_position"), self.place, strict=True))
        mine = is_endpoint(self.endpoint), EventEndpoint.leased_until == self.endpoint.leased_until
        statement = update(EventEndpoint).where(*mine).values({**place, **values})
        async with self.delivery.engine.begin() as conn:
            is_written = (await conn.execute(statement)).rowcount == 1
        self.written = self.place
        return is_written

    async def end(self) -> None:
        """End the lease, so that the next turn doesn't wait for the turns of other endpoints."""
        await self.write({"leased_until": None})


def is_after(version: Any, position: Any) -> ColumnElement[bool]:
    """Return whether an event comes after a place in the outbox."""
    return tuple_(OutboxEvent.version, OutboxEvent.position) > tuple_(version, position)


def has_events() -> ColumnElement[bool]:
    """Return whether events of an endpoint's practice wait for it."""
    waiting = select(OutboxEvent.version).where(
        OutboxEvent.practice_id == EventEndpoint.practice_id,
        is_after(EventEndpoint.after_version, EventEndpoint.after_position),
    )
    return waiting.correlate(EventEndpoint.__table__).exists()
