"""Stripe beside a judge's servers: one double with its pages, and the events that it sends."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.stripe import Stripe
from models import StripeEvent
from sandbox import pages, setups
from sandbox.app import app
from sandbox.deliveries import signature
from sandbox.methods import create_card
from sandbox.store import PAGE, Store
from server.sandbox import KEY, SECRET, OwnAccounts
from server.stripe_client import WEBHOOK_PATH
from tests.answers.servers import Server
from tests.support.portal import Clock

# How often the end of the events' work is looked for. It takes one or two looks.
LOOKS, PAUSE_S = 200, 0.005


class StripeDouble:
    """The double in a file, which the servers share with commands of another process."""

    def __init__(self, path: str, clock: Clock) -> None:
        self.path, self.clock = path, clock
        self.store = Store(path, lambda: clock().timestamp())

    def client(self) -> Stripe:
        """Return a client of the double, for one server."""
        transport = OwnAccounts(app(self.store))
        return Stripe(KEY, base="http://sandbox", transport=transport, webhook_secrets=[SECRET])

    @contextmanager
    def acting(self) -> Iterator[Store]:
        """Yield the store for what Stripe or a cardholder does there."""
        with self.store.transaction():
            yield self.store

    def token(self, number: str) -> str:
        """Return the confirmation token that Stripe.js makes of a new card."""
        card = {"expMonth": 12, "expYear": 2031, "name": "Ana Prieto", "zip": "04101"}
        with self.acting() as store:
            return pages.token(store, PAGE, {"number": number, **card})

    def fill_in(self, setup_id: str, number: str) -> None:
        """Confirm a form with a card, as Stripe.js does."""
        account = self.account_of(setup_id)
        with self.acting() as store:
            method = create_card(store, account, number, 12, 2031, "Ana Prieto", "04101")
            setups.confirm_setup(store, account, setup_id, method)

    def account_of(self, stripe_id: str) -> str:
        query = "SELECT account FROM object WHERE id = ?"
        (account,) = self.store.connection.execute(query, (stripe_id,)).fetchone()
        return str(account)

    def has(self, kind: str, row: Row[Any]) -> bool:
        """Return whether Stripe has the object that a row names."""
        account, id_ = row.stripe_account, row.stripe_id
        return bool(account and id_) and self.store.has(account, kind, id_)

    async def send_events(self, server: Server, engine: AsyncEngine) -> None:
        """Send the waiting events to a server's webhook, and wait until they are handled."""
        sent = []
        for id_, body, _ in self.waiting():
            signed = signature(SECRET, body, int(self.clock().timestamp()))
            headers = {"Stripe-Signature": signed, "Content-Type": "application/json"}
            answer = await server.http.post(WEBHOOK_PATH, content=body, headers=headers)
            assert answer.status_code == 200, answer.text
            sent.append(id_)
        waiting = StripeEvent.id.in_(sent), StripeEvent.handled_at.is_(None)
        for _ in range(LOOKS):
            async with engine.connect() as conn:
                if not await conn.scalar(select(func.count()).where(*waiting)):
                    return
            await asyncio.sleep(PAUSE_S)

    def waiting(self) -> list[tuple[str, str, int]]:
        """Return the events that were not sent yet."""
        events = []
        while found := self.store.due(float("inf")):
            events += found
            for id_, _, _ in found:
                self.store.sent(id_)
        return events
