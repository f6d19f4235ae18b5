"""Stripe's webhooks, badly delivered: a quarter is lost, some come twice, all come out of order."""

import asyncio
import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from sandbox.deliveries import signature
from tests.payments.campaign.at_stripe import AtStripe
from tests.payments.campaign.servers import Servers
from tests.support.processes import SECRET

# The events that docs/operations.md tells operators to subscribe to.
SUBSCRIBED = (
    *("payment_intent.", "setup_intent.", "payment_method.", "refund."),
    *("charge.refunded", "charge.dispute."),
)
LOST, TWICE = 0.25, 0.2
LATE_S = (0.0, 3.0)
LOOKS_EVERY_S = 0.3
AT_ONCE = 4


class Deliveries:
    """A queue of events. The seed decides whether an event is lost, late or sent twice."""

    def __init__(
        self, stripe: AtStripe, servers: Servers, http: httpx.AsyncClient, seed: str
    ) -> None:
        self.stripe, self.servers, self.http = stripe, servers, http
        self.random = random.Random(f"{seed}:events")
        self.counts: Counter[str] = Counter()
        self.newest = 0
        self.waiting: list[tuple[float, dict[str, Any]]] = []

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self.deliver(self.due)
            await asyncio.sleep(LOOKS_EVERY_S)

    async def finish(self) -> None:
        """Deliver all events that are not lost."""
        while True:
            await self.deliver(lambda: self.waiting)
            if not self.waiting:
                return
            await asyncio.sleep(LOOKS_EVERY_S)

    async def deliver(self, which: Callable[[], list[tuple[float, dict[str, Any]]]]) -> None:
        self.take()
        sending = which()[:]
        for k in range(0, len(sending), AT_ONCE):
            some = sending[k : k + AT_ONCE]
            taken = await asyncio.gather(*(self.send(event) for _, event in some))
            for one, was_taken in zip(some, taken, strict=True):
                if was_taken:
                    self.waiting.remove(one)
                    self.counts["events delivered"] += 1

    def take(self) -> None:
        """Queue the events since the last time, unless they are lost."""
        now = asyncio.get_running_loop().time()
        for number, event in self.stripe.events_after(self.newest):
            self.newest = number
            if not event["type"].startswith(SUBSCRIBED):
                continue
            self.counts["events"] += 1
            if self.random.random() < LOST:
                self.counts["events lost"] += 1
                continue
            times = 1
            if self.random.random() < TWICE:
                times = 2
                self.counts["events doubled"] += 1
            for _ in range(times):
                self.waiting.append((now + self.random.uniform(*LATE_S), event))
        self.random.shuffle(self.waiting)

    def due(self) -> list[tuple[float, dict[str, Any]]]:
        now = asyncio.get_running_loop().time()
        return [one for one in self.waiting if one[0] <= now]

    async def send(self, event: dict[str, Any]) -> bool:
        """Send an event, and return whether a server took it."""
        body = json.dumps(event)
        now = dt.datetime.now(dt.UTC).timestamp() + self.servers.later_s
        headers = {"Stripe-Signature": signature(SECRET, body, int(now))}
        url = f"{self.servers.any(self.random)}/stripe/webhook"
        try:
            answer = await self.http.post(url, content=body, headers=headers, timeout=10)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200
