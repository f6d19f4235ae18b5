"""Runs of a scenario: a server dies at its point, the next goes on, and the state is checked."""

import asyncio
import datetime as dt
import json
import os
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select, update

from identity.tokens import Subject
from models import (
    CardBrand,
    Client,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    StripeCustomer,
)
from models.database import open_engine
from models.ids import new_id
from sandbox import intents, seeds
from sandbox.deliveries import signature
from sandbox.errors import StripeError
from sandbox.store import Store
from tests.payments.crash_tests.judge import AT_REST, Bill, intents_of, judge
from tests.payments.crash_tests.scenarios import AFTERS, Scenario
from tests.sandbox.specification import held
from tests.support import books, stripe_allowlist
from tests.support.demo_server import free_port
from tests.support.empty_databases import prepare
from tests.support.leases import run_out
from tests.support.payments import ACCOUNT, ASKS, DECLINED, GOOD, PAY, Paying
from tests.support.portal import KEY
from tests.support.process_pool import Nursery
from tests.support.processes import SECRET, wait_for

NUMBERS = {"good": GOOD, "declined": DECLINED, "asks": ASKS}
# The reconciler reads payments of a minute ago, and waits half an hour for a cardholder.
SOON_S, LATE_S = 90, 45 * 60
AT_REST_WITHIN_S = 60


@dataclass
class Player:
    """A database, a double of Stripe, and the process that forks servers."""

    practice: Paying
    store: Store
    stripe: str
    nursery: Nursery
    events: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def server(self, die: str | None = None, later_s: float = 0) -> AsyncIterator[str]:
        """Run a server, and yield its address. At the end it is dead, by its point or by a kill."""
        address, child = await self.born(die, signal.SIGKILL, later_s)
        try:
            yield address
        finally:
            if die is None:
                os.kill(child, signal.SIGKILL)
            ended_by = await asyncio.to_thread(self.nursery.reaped, child)
            assert ended_by == signal.SIGKILL, f"the server was not killed at {die}"

    @asynccontextmanager
    async def sleeper(self, at: str) -> AsyncIterator[tuple[str, int]]:
        """Run a server that stops at this point; yield its address and process."""
        address, child = await self.born(at, signal.SIGSTOP)
        try:
            yield address, child
        finally:
            os.kill(child, signal.SIGKILL)
            await asyncio.to_thread(self.nursery.reaped, child)

    async def born(self, die: str | None, by: int, later_s: float = 0) -> tuple[str, int]:
        port = free_port()
        settings = {
            "database_url": self.practice.url,
            "token_key": KEY,
            "stripe_api_key": "sk_test_double",
            "stripe_publishable_key": "pk_test_double",
            "stripe_webhook_secret": SECRET,
            "stripe_api_base": self.stripe,
        }
        if later_s:
            await run_out(self.practice.engine)
        child = self.nursery.born(port=port, settings=settings, later_s=later_s, die=die, by=by)
        address = f"http://127.0.0.1:{port}"
        await asyncio.to_thread(wait_for, address)
        return address, child


@asynccontextmanager
async def player(url: str, stripe: str, file: Path, nursery: Nursery) -> AsyncIterator[Player]:
    """Yield a player over the empty database of this URL. `file` is the double's."""
    await prepare(url)
    async with open_engine(url) as writing:
        practice = Paying(url, writing)
        practice.clock.time = dt.datetime.now(dt.UTC)
        await practice.fill()
        async with writing.begin() as conn:
            await conn.execute(update(Practice).values(stripe_account=ACCOUNT))
        with closing(Store(str(file))) as store:
            practice.store = store
            yield Player(practice, store, stripe, nursery)
            await books.assert_verified(writing)
            sent, told = store.journal(), store.all("event")
            stripe_allowlist.hold(sent)
            held.hold(sent, told)


async def play(player: Player, scenario: Scenario) -> None:
    bill = await billed(player, scenario)
    if scenario.sleeps:
        await sleep_and_wake(player, scenario, bill)
        return
    if scenario.after == "inbox":
        await die_at_inbox(player, scenario, bill)
    else:
        async with player.server(scenario.die) as address:
            with suppress(httpx.HTTPError):
                await send(player, address, bill)
    await go_on(player, scenario, bill)
    await judge(player.practice, bill)


# -- invoices and sources of payment ---------------------------------------------------------------


async def billed(player: Player, scenario: Scenario) -> Bill:
    practice, client_id = player.practice, new_id()
    own = {"practice_id": practice.practice_id, "id": client_id, "created_at": practice.clock()}
    await practice.insert(Client, own | {"name": "Cleo Vance"})
    first = await practice.invoice(10_000, client_id)
    await practice.invoice(5_000, client_id)
    if scenario.credit:
        await practice.credit(2_000, client_id)
    bearer = await practice.token(Subject(practice.practice_id, client_id=client_id))
    amount = (10_000 if scenario.one else 15_000) - (2_000 if scenario.credit else 0)
    input = practice.input(amount, await source(player, scenario, client_id))
    if scenario.one:
        input["invoiceId"] = f"inv_{first}"
    return Bill(client_id, bearer, amount, 15_000, input)


async def source(player: Player, scenario: Scenario, client_id: str) -> dict[str, Any]:
    if scenario.way == "saved":
        return {"paymentMethodId": f"crd_{await saved(player, scenario, client_id)}"}
    return player.practice.card(NUMBERS[scenario.card], saveCard=scenario.way == "save")


async def saved(player: Player, scenario: Scenario, client_id: str) -> str:
    """Insert a card on file, here and at Stripe, and return its id."""
    practice, card_id, number = player.practice, new_id(), NUMBERS[scenario.card]
    customer, method = f"cus_{uuid.uuid4().hex}", f"pm_{uuid.uuid4().hex}"
    with player.store.transaction():
        seeds.seed_customer(player.store, ACCOUNT, customer)
        seeds.seed_saved_card(
            player.store, ACCOUNT, method, customer, number, (12, 2031), "Cleo Vance", "04101"
        )
    own = {"practice_id": practice.practice_id, "client_id": client_id, "stripe_account": ACCOUNT}
    made = {"id": new_id(), "stripe_id": customer, "created_at": practice.clock()}
    await practice.insert(StripeCustomer, own | made)
    await practice.insert(
        PaymentMethod,
        own
        | {
            "id": card_id,
            "stripe_id": method,
            "fingerprint": uuid.uuid4().hex,
            "brand": CardBrand.VISA,
            "last4": number[-4:],
            "exp_month": 12,
            "exp_year": 2031,
            "is_default": True,
            "added_at": practice.clock(),
            "consent_version": "1",
            "consented_at": practice.clock(),
            "revision": 0,
        },
    )
    return card_id


async def send(player: Player, address: str, bill: Bill, **other: Any) -> dict[str, Any]:
    body = {"query": PAY, "variables": {"input": bill.input | other}}
    headers = {"Authorization": f"Bearer {bill.bearer}"}
    async with httpx.AsyncClient(timeout=30) as http:
        answer = (await http.post(f"{address}/graphql", json=body, headers=headers)).json()
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]["pay"]
    return found


# -- continuation ----------------------------------------------------------------------------------


async def die_at_inbox(player: Player, scenario: Scenario, bill: Bill) -> None:
    """Lose the response of the charge; then kill the server that processes the webhook's event."""
    async with player.server("after confirm") as address:
        with suppress(httpx.HTTPError):
            await send(player, address, bill)
    async with player.server(scenario.die) as address:
        with suppress(httpx.HTTPError):
            for event in await events(player, bill):
                await deliver(address, event)


async def sleep_and_wake(player: Player, scenario: Scenario, bill: Bill) -> None:
    """Stop a server within a payment, and continue it after others have dealt with the payment."""
    async with player.sleeper(scenario.die) as (address, process):
        sent = asyncio.create_task(send(player, address, bill))
        await asyncio.to_thread(stopped, process)
        await go_on(player, scenario, bill)
        async with player.server() as other:
            await from_another_tab(player, other, bill)
        os.kill(process, signal.SIGCONT)
        await sent
        await at_rest(player, bill)
        await judge(player.practice, bill)


def stopped(process: int) -> None:
    """Wait until the process is stopped."""
    until = time.monotonic() + AT_REST_WITHIN_S
    while "T (stopped)" not in Path(f"/proc/{process}/status").read_text():
        assert time.monotonic() < until, "the server never reached its point"
        time.sleep(0.02)


async def go_on(player: Player, scenario: Scenario, bill: Bill) -> None:
    later_s = LATE_S if scenario.after == "gone" else SOON_S
    async with player.server(later_s=later_s) as address:
        if scenario.after == "retry":
            again = bill.input["source"]
            if "newCard" in again:
                # A page that sends the request again has another token.
                save = again["newCard"]["saveCard"]
                again = player.practice.card(NUMBERS[scenario.card], saveCard=save)
            await send(player, address, bill, source=again)
        if scenario.after == "other tab":
            await from_another_tab(player, address, bill)
        if scenario.after in ("webhook", "inbox"):
            several = await events(player, bill) * 5
            random.Random(str(scenario)).shuffle(several)
            for event in several:
                await deliver(address, event, later_s)
        if scenario.after in ("approves", "fails"):
            await decide(player, bill, succeed=scenario.after == "approves")
        waits = scenario.card == "asks" and scenario.after in AFTERS
        await at_rest(player, bill, {PaymentState.REQUIRES_ACTION} if waits else set())
    if waits:
        async with player.server(later_s=LATE_S):
            await at_rest(player, bill)
    if scenario.after == "gone":
        # The bank approves at the very end.
        await decide(player, bill, succeed=True)


async def from_another_tab(player: Player, address: str, bill: Bill) -> None:
    key = {"idempotencyKey": str(uuid.uuid4())}
    await send(player, address, bill, source=player.practice.card(), **key)


async def decide(player: Player, bill: Bill, *, succeed: bool) -> None:
    for intent in await intents_of(player.practice, bill):
        with suppress(StripeError), player.store.transaction():
            intents.authenticate_intent(player.store, ACCOUNT, intent["id"], succeed=succeed)


async def events(player: Player, bill: Bill) -> list[dict[str, Any]]:
    """Return all of Stripe's events about this client's payments."""
    ids = {intent["id"] for intent in await intents_of(player.practice, bill)}

    def about(event: dict[str, Any]) -> Any:
        told = event["data"]["object"]
        return told["id"] if told["object"] == "payment_intent" else told.get("payment_intent")

    return [event for event in player.store.all("event") if about(event) in ids]


async def deliver(address: str, event: dict[str, Any], later_s: float = 0) -> None:
    body = json.dumps(event)
    now = dt.datetime.now(dt.UTC).timestamp() + later_s
    headers = {"Stripe-Signature": signature(SECRET, body, int(now))}
    async with httpx.AsyncClient() as http:
        url = f"{address}/stripe/webhook"
        answer = await http.post(url, content=body, headers=headers)
    assert answer.status_code == 200, answer.text


async def at_rest(player: Player, bill: Bill, or_in: Set[PaymentState] = frozenset()) -> None:
    """Wait until every payment is at rest, or in one of the other states."""
    until = asyncio.get_running_loop().time() + AT_REST_WITHIN_S
    states: set[PaymentState] = set()
    while asyncio.get_running_loop().time() < until:
        async with player.practice.engine.connect() as conn:
            statement = select(Payment.state).where(Payment.client_id == bill.client_id)
            states = set(await conn.scalars(statement))
        if states <= AT_REST | or_in:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not at rest: {states}")
