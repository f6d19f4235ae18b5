"""Webhooks: events are signed and sent until they are accepted. Faults lose, double or shuffle
them.
"""

import asyncio
import hashlib
import hmac
import logging
import random
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.store import Store

EVERY_S = 0.2
# Stripe retries for three days; here a day is enough.
BACKOFFS_S = (1, 2, 5, 10, 30, 60, 300)
TRIES = 300
# The setting that holds a `Mischief`.
EVENTS = "events"
NEVER = float("inf")

log = logging.getLogger("sandbox")


@dataclass(frozen=True)
class WebhookTarget:
    """The destination of events, and the secret for their signatures."""

    url: str
    secret: str


@dataclass(frozen=True)
class Mischief:
    """Faults of events: the shares that are lost or sent twice, and their order.

    `late_s` is the longest random delay of an event, in seconds.
    """

    lost: float = 0.0
    twice: float = 0.0
    late_s: float = 0.0
    shuffled: bool = False


def signature(secret: str, body: str, at: int) -> str:
    """Return the header Stripe-Signature."""
    signed = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


def withhold(store: Store, types: str = "%") -> None:
    """Stop sending the waiting events of these types. The API still has them."""
    store.put_off_all(types, NEVER)


async def deliver(store: Store, webhook: WebhookTarget, client: httpx.AsyncClient) -> None:
    """Send the due events, forever. An event that can't be sent doesn't block the others."""
    while True:
        try:
            for event, body, tries in due_events(store):
                await deliver_event(store, webhook, client, event, body, tries)
        except sqlite3.OperationalError:
            log.warning("the sandbox's file is busy")
        await asyncio.sleep(EVERY_S)


def due_events(store: Store) -> list[tuple[str, str, int]]:
    """Return the events to send now, after the faults were applied to them."""
    wrong = Mischief(**store.setting(EVENTS, {}))
    now, found = time.time(), []
    for event, body, tries in store.due(now):
        # The fate of each event is the same in every run.
        chance = random.Random(event)  # noqa: S311 (no secret)
        if tries == 0 and chance.random() < wrong.lost:
            store.put_off(event, NEVER)
        elif tries == 0 and wrong.late_s:
            store.put_off(event, now + chance.uniform(0, wrong.late_s))
        else:
            found += [(event, body, tries)] * (2 if chance.random() < wrong.twice else 1)
    if wrong.shuffled:
        random.shuffle(found)
    return found


async def deliver_event(
    store: Store,
    webhook: WebhookTarget,
    client: httpx.AsyncClient,
    event: str,
    body: str,
    tries: int,
) -> None:
    if await taken(webhook, client, body) or tries >= TRIES:
        store.sent(event)
    else:
        backoff_s = BACKOFFS_S[min(tries, len(BACKOFFS_S) - 1)]
        store.put_off(event, time.time() + backoff_s)


async def taken(webhook: WebhookTarget, client: httpx.AsyncClient, body: str) -> bool:
    headers: dict[str, Any] = {
        "Content-Type": "application/json",
        "Stripe-Signature": signature(webhook.secret, body, int(time.time())),
    }
    try:
        answer = await client.post(webhook.url, content=body, headers=headers)
    except Exception as error:
        log.debug("an event was not taken: %s", type(error).__name__)
        return False
    return answer.is_success
