"""Histories of refunds and disputes: the account is the same for every source and order of the
reports on them.
"""

import datetime as dt
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete

from billing.payments import webhook_inbox
from billing.payments.refund import refund_payment
from billing.stripe.objects import hint
from models import Client, StripeEvent
from models.ids import new_id
from sandbox import reversals
from tests.conftest import SEED
from tests.support import shares
from tests.support.payments import Paying, paying
from tests.support.reversals import at_stripe, dues, minor, paid, refunded_there, standing

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


# On each database; set HISTORIES=1000 for more.
HISTORIES = int(os.environ.get("HISTORIES", shares.number(12, quick=1)))
MOVES = ("refund", "refund", "fail", "dispute", "win", "lose")


@pytest.mark.campaign
async def test_histories_with_shuffled_and_repeated_events_end_alike(portal: Paying) -> None:
    """Each history is played twice, by a client of its own: with events in any order as they
    happen, and with all events at the end.
    """
    for seed in range(SEED, SEED + HISTORIES):
        ends = []
        for hears in (True, False):
            await another_client(portal)
            played = await history(portal, random.Random(seed), hears=hears)
            told = played.events() * 3
            random.Random(seed).shuffle(told)
            await played.hears(told)
            ends.append(await played.end())
            await forget_events(portal)
        assert ends[0] == ends[1], seed


async def another_client(portal: Paying) -> None:
    portal.client_id = new_id()
    own = {"practice_id": portal.practice_id, "id": portal.client_id}
    await portal.insert(Client, own | {"name": "Cleo Vance", "created_at": portal.clock()})
    portal.bearer = await portal.token()


async def forget_events(portal: Paying) -> None:
    """Delete events here and at the double, so that a history does not list those of all before."""
    async with portal.engine.begin() as conn:
        await conn.execute(delete(StripeEvent))
    with portal.store.transaction():
        portal.store.connection.execute("DELETE FROM object WHERE kind = 'event'")


@dataclass
class History:
    """The payments of one client, and Stripe's objects of them."""

    portal: Paying
    intents: list[str]

    def all(self, kind: str) -> list[dict[str, Any]]:
        found = self.portal.store.all(kind)
        return [one for one in found if one["payment_intent"] in self.intents]

    def events(self) -> list[dict[str, Any]]:
        def about(event: dict[str, Any]) -> Any:
            told = event["data"]["object"]
            return told["id"] if told["object"] == "payment_intent" else told.get("payment_intent")

        return [one for one in self.portal.store.all("event") if about(one) in self.intents]

    async def hears(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            await webhook_inbox.receive(self.portal.payment_context, hint(event))
        await self.portal.hears()

    async def end(self) -> dict[str, Any]:
        """Return Stripe's amounts and the account's, after checking that they match."""
        client = await standing(self.portal)
        nodes = client["invoices"]["nodes"]
        standings = [(one["status"], one["isDisputed"], minor(one, "amountDue")) for one in nodes]
        taken = sum(one["amount"] for one in self.all("charge"))
        assert minor(client, "balance", "amount") == taken - self.still_out()
        assert sum(due for _, _, due in standings) == minor(client, "balance", "amount")
        payable = sum(due for _, is_disputed, due in standings if not is_disputed)
        assert minor(client, "balance", "payable") == payable
        moved = [
            (one["object"], one["amount"], one["status"])
            for one in (*self.all("refund"), *self.all("dispute"))
        ]
        return {"moved": moved, "standings": standings}

    def still_out(self) -> int:
        """Return the amount that Stripe captured, less refunds and disputes."""
        taken = sum(one["amount"] for one in self.all("charge"))
        back = sum(one["amount"] for one in self.all("refund") if one["status"] != "failed")
        held = sum(one["amount"] for one in self.all("dispute") if one["status"] != "won")
        return int(taken - back - held)


async def history(portal: Paying, chance: random.Random, *, hears: bool) -> History:
    """Make payments, refunds and disputes at Stripe, and deliver some of the events at once."""
    intents = [(await paid(portal, *amounts))[1] for amounts in ((4_000, 3_000), (2_000,))]
    played, listening = History(portal, intents), random.Random(chance.random())
    for _ in range(chance.randrange(2, 7)):
        move(played, chance, chance.choice(intents))
        if hears and listening.random() < 0.6:
            told = played.events()
            await played.hears(listening.sample(told, min(len(told), 3)))
    return played


def move(played: History, chance: random.Random, intent: str) -> None:
    portal = played.portal
    charge = next(one for one in played.all("charge") if one["payment_intent"] == intent)
    left = charge["amount"] - charge["amount_refunded"]
    disputes = [one for one in played.all("dispute") if one["charge"] == charge["id"]]
    refunds = [one for one in played.all("refund") if one["charge"] == charge["id"]]
    match chance.choice(MOVES):
        case "refund" if left and not disputes:
            refunded_there(portal, intent, chance.choice([left, max(1, left // 2)]))
        case "fail" if refunds and refunds[-1]["status"] != "failed":
            at_stripe(portal, reversals.fail_refund, refunds[-1]["id"])
        case "dispute" if left and not disputes:
            at_stripe(portal, reversals.open_dispute, intent, left)
        case "win" | "lose" as end if disputes and disputes[0]["status"] == "needs_response":
            at_stripe(portal, reversals.close_dispute, disputes[0]["id"], won=end == "win")


async def test_old_event_changes_nothing(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    await refund_payment(portal.payment_context, payment_id, 4_000)
    before = await standing(portal)
    portal.clock.time += dt.timedelta(minutes=1)
    await portal.hears_all()
    after = await standing(portal)
    assert after == before


async def test_repeated_event_leaves_later_credit_unallocated(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    await refund_payment(portal.payment_context, payment_id, 4_000)
    await portal.credit(1_000)
    before = await standing(portal)
    assert await dues(portal) == [4_000]
    portal.clock.time += dt.timedelta(minutes=1)
    await portal.hears_all()
    assert await standing(portal) == before
