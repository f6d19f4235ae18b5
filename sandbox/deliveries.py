"""Webhooks: events are signed and sent until they are taken."""

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass

import httpx

from sandbox.store import Store

EVERY_S = 0.2
# Stripe goes on for three days; here a day is enough.
BACKOFFS_S = (1, 2, 5, 10, 30, 60, 300)
TRIES = 300


@dataclass(frozen=True)
class Webhook:
    """Where events are sent, and the secret that they are signed with."""

    url: str
    secret: str


def signature(secret: str, body: str, at: int) -> str:
    """The header Stripe-Signature."""
    signed = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


async def deliver(store: Store, webhook: Webhook, client: httpx.AsyncClient) -> None:
    """Sends what is due, for ever."""
    while True:
        for event, body, tries in store.due(time.time()):
            if await taken(webhook, client, body) or tries >= TRIES:
                store.sent(event)
            else:
                backoff_s = BACKOFFS_S[min(tries, len(BACKOFFS_S) - 1)]
                store.put_off(event, time.time() + backoff_s)
        await asyncio.sleep(EVERY_S)


async def taken(webhook: Webhook, client: httpx.AsyncClient, body: str) -> bool:
    headers = {
        "Content-Type": "application/json",
        "Stripe-Signature": signature(webhook.secret, body, int(time.time())),
    }
    try:
        answer = await client.post(webhook.url, content=body, headers=headers)
    except httpx.HTTPError:
        return False
    return answer.is_success
