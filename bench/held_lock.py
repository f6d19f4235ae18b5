"""Delay of another practice's client by a held row lock on one client: `python -m bench.held_lock`.

The neighbour signs in and pays, first without other load, then while another program holds a lock
on one client's row, and requests and webhooks for that client wait for it. The exit code is 1 if a
median differs by more than a second.
"""

import asyncio
import datetime as dt
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import httpx
import typer
from sqlalchemy import select, update

from bench.paying import CARD
from models import Client, Letterhead, Payment, PaymentState, Practice
from models.database import engine, open_engine
from models.ids import new_id
from models.migrations import upgrade
from sandbox.deliveries import signature
from tests.support import postgres
from tests.support.demo_server import started
from tests.support.mail_server import SENDER, Mailbox, mail_server
from tests.support.payments import ACCOUNT, ASKS, GOOD, PAY, Paying
from tests.support.portal import practice
from tests.support.processes import SECRET, double, portals
from tests.support.sign_in import LINK, PAGE, REQUEST, SIGN_IN

OTHER_ACCOUNT = f"{ACCOUNT}_other"
REQUESTS, WEBHOOKS = 25, 20
MOST_S = 1.0
LOOK_EVERY_S = 0.01
DUE = 10_000
STEPS = ("request a link", "link in the mail", "sign in", "pay", "webhook to followed")
Times = dict[str, list[float]]


def main(
    rounds: Annotated[int, typer.Option(min=3, help="Rounds of the neighbour.")] = 15,
) -> None:
    """Measure the neighbour, without a held lock and with one."""
    with postgres.server() as url, tempfile.TemporaryDirectory() as folder:
        if url is None:
            typer.echo(f"No PostgreSQL was found: {postgres.HOW_TO_GET}.", err=True)
            raise typer.Exit(2)
        quiet, held, busy = asyncio.run(measure(url, Path(folder), rounds))
    typer.echo(f"{busy} requests for the held client were answered UNAVAILABLE in that time.")
    typer.echo(f"{'':20}{'quiet':>22}{'lock held':>25}{'difference':>20}")
    typer.echo(
        f"{'milliseconds':20}" + f"{'median':>11}{'most':>11}{'':3}" * 2 + f"{'of medians':>17}"
    )
    differences = []
    for step in STEPS:
        differences.append(median(held[step]) - median(quiet[step]))
        cells = [1000 * of(times[step]) for times in (quiet, held) for of in (median, max)]
        cells.append(1000 * differences[-1])
        figures = "{:11.1f}{:11.1f}   {:11.1f}{:11.1f}   {:+17.1f}".format(*cells)
        typer.echo(f"{step:20}{figures}")
    raise typer.Exit(int(max(differences) > MOST_S))


async def measure(server_url: str, folder: Path, rounds: int) -> tuple[Times, Times, int]:
    async with postgres.database(server_url) as url:
        practices = await made(url)
        with double(folder) as stripe, mail_server() as mailbox:
            post = {"SMTP_URL": mailbox.url, "MAIL_FROM": SENDER}
            with portals(started, url, stripe, folder, 1, **post) as (address,):
                async with httpx.AsyncClient(
                    timeout=60, limits=httpx.Limits(max_connections=200)
                ) as http:
                    mine, others = practices
                    neighbour = Neighbour(others, http, address, stripe, mailbox)
                    held = Held(neighbour, mine)
                    await held.owe()
                    await neighbour.round()
                    quiet = await neighbour.rounds(rounds)
                    async with held.client():
                        slow = await neighbour.rounds(rounds)
        await practices[0].engine.dispose()
    return quiet, slow, held.busy


async def made(url: str) -> tuple[Paying, Paying]:
    """Make two practices that take cards; return the portal of each, as its clients see it."""
    writing = engine(url)
    await upgrade(writing)
    mine = Paying(url, writing)
    mine.clock.time = dt.datetime.now(dt.UTC)
    await mine.fill()
    async with writing.begin() as conn:
        await conn.execute(update(Practice).values(stripe_account=ACCOUNT))
    others = copy(mine)
    others.practice_id = new_id()
    own = practice(others.practice_id)
    await others.insert(Practice, own | {"stripe_account": OTHER_ACCOUNT, "portal_url": PAGE})
    return mine, others


class Neighbour:
    """The clients of another practice, one after another: each signs in and pays an invoice."""

    def __init__(
        self, portal: Paying, http: httpx.AsyncClient, address: str, stripe: str, mailbox: Mailbox
    ) -> None:
        self.portal, self.http, self.address, self.stripe = portal, http, address, stripe
        self.mailbox = mailbox
        self.count = 0

    async def rounds(self, count: int) -> Times:
        """Return the seconds that each step took."""
        each = [await self.round() for _ in range(count)]
        return {step: [one[step] for one in each] for step in STEPS}

    async def round(self) -> dict[str, float]:
        self.count += 1
        email = f"cleo{self.count}@example.com"
        client_id = await self.owe(email)
        watch = Stopwatch()
        nonce = (await self.ask(REQUEST, email=email))["requestSignInLink"]["nonce"]
        watch.stop("request a link")
        secret = await self.link(email)
        watch.stop("link in the mail")
        entered = (await self.ask(SIGN_IN, secret=secret, nonce=nonce))["signIn"]
        watch.stop("sign in")
        token = await self.card()
        source = {"newCard": {"confirmationToken": token}}
        watch.start()
        wanted = self.portal.input(DUE, source)
        paid = (await self.ask(PAY, entered["token"], input=wanted))["pay"]
        watch.stop("pay")
        assert paid["__typename"] == "PayRequiresAction", paid
        event = await self.confirmed(client_id)
        watch.start()
        await self.webhook(event)
        await self.followed(client_id)
        watch.stop("webhook to followed")
        return watch.times

    async def owe(self, email: str) -> str:
        portal, client_id, letterhead_id = self.portal, new_id(), new_id()
        own = {"practice_id": portal.practice_id, "created_at": portal.clock()}
        row = {"id": client_id, "name": "Cleo Vance", "email": email}
        await portal.insert(Client, own | row)
        letterhead = {"practice_id": portal.practice_id, "id": letterhead_id, "name": "Quay"}
        await portal.insert(Letterhead, letterhead)
        serial = 100 + self.count
        facts: dict[str, Any] = {
            "letterhead_id": letterhead_id,
            "serial": serial,
            "number": f"Q-{serial}",
        }
        await portal.invoice(DUE, client_id, **facts)
        return client_id

    async def ask(self, query: str, token: str = "", **variables: Any) -> Any:
        answer = await self.answer(query, token, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def answer(self, query: str, token: str, **variables: Any) -> Any:
        # Each client has another address, since sign-ins are limited per address.
        headers = {"X-Forwarded-For": f"10.0.{self.count // 250}.{self.count % 250}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = {"query": query, "variables": variables}
        answer = await self.http.post(f"{self.address}/graphql", json=body, headers=headers)
        return answer.json()

    async def link(self, email: str) -> str:
        """Wait for the mail, and return the secret of its link."""
        while True:
            for letter in reversed(self.mailbox.letters):
                if email in letter["To"]:
                    return str(LINK.findall(letter.get_content())[0])
            await asyncio.sleep(LOOK_EVERY_S)

    async def card(self, number: str = ASKS) -> str:
        """Fill in the form of a card; ASKS is one that needs 3-D Secure."""
        given = CARD | {"number": number, "name": "Cleo Vance", "zip": "04101"}
        made = await self.http.post(f"{self.stripe}/sandbox/confirmation_tokens", json=given)
        return str(made.json()["id"])

    async def confirmed(self, client_id: str) -> dict[str, Any]:
        """Confirm the payment as the cardholder, and return Stripe's event of that."""
        statement = select(Payment.stripe_id).where(Payment.client_id == client_id)
        async with self.portal.engine.connect() as conn:
            intent = str(await conn.scalar(statement))
        facts = {"account": OTHER_ACCOUNT, "id": intent, "succeed": True}
        return await self.act("authenticate", intent, facts)

    async def act(self, name: str, intent: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Do an action at the double, and return the last event about the PaymentIntent."""
        done = await self.http.post(f"{self.stripe}/controls/actions/{name}", json=facts)
        assert done.is_success, done.text
        told = (await self.http.get(f"{self.stripe}/controls/state?only=event")).json()["event"]
        about = [one for one in told if intent in json.dumps(one["data"]["object"])]
        last: dict[str, Any] = about[-1]
        return last | {"account": facts["account"]}

    async def webhook(self, event: dict[str, Any]) -> None:
        body = json.dumps(event)
        headers = {"Stripe-Signature": signature(SECRET, body, int(time.time()))}
        answer = await self.http.post(
            f"{self.address}/stripe/webhook", content=body, headers=headers
        )
        assert answer.status_code == 200, answer.text

    async def followed(self, client_id: str) -> None:
        state = select(Payment.state).where(Payment.client_id == client_id)
        while True:
            async with self.portal.engine.connect() as conn:
                if await conn.scalar(state) is PaymentState.SUCCEEDED:
                    return
            await asyncio.sleep(LOOK_EVERY_S)


class Held:
    """The client with the locked row, for whom requests and webhooks wait all the time."""

    def __init__(self, neighbour: Neighbour, portal: Paying) -> None:
        self.neighbour, self.portal = neighbour, portal
        self.bearer = ""
        self.events: list[dict[str, Any]] = []
        self.busy = 0

    async def owe(self) -> None:
        """Pay some invoices, each of which the cardholder then disputes, and leave one more due."""
        self.bearer = await self.portal.token()
        for _ in range(WEBHOOKS):
            await self.portal.invoice(DUE)
            assert (await self.pay(GOOD))["data"]["pay"]["__typename"] == "PaySucceeded"
        await self.portal.invoice(DUE)
        statement = select(Payment.stripe_id).where(Payment.client_id == self.portal.client_id)
        async with self.portal.engine.connect() as conn:
            intents = [str(one) for one in await conn.scalars(statement)]
        for intent in intents:
            facts = {"account": ACCOUNT, "intent": intent}
            event = await self.neighbour.act("dispute", intent, facts)
            self.events.append(event)

    async def pay(self, number: str) -> Any:
        source = {"newCard": {"confirmationToken": await self.neighbour.card(number)}}
        wanted = self.portal.input(DUE, source)
        return await self.neighbour.answer(PAY, self.bearer, input=wanted)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        """Lock the client's row, and keep requests and webhooks waiting for it."""
        row = select(Client.id).where(Client.id == self.portal.client_id).with_for_update()
        async with open_engine(self.portal.url) as other, other.begin() as conn:
            await conn.execute(row)
            tasks = [asyncio.create_task(self.keep_asking()) for _ in range(REQUESTS)]
            tasks.append(asyncio.create_task(self.keep_telling()))
            # All of them wait before the neighbour's requests begin.
            await asyncio.sleep(1)
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
        for one in ended:
            if not isinstance(one, asyncio.CancelledError):
                raise AssertionError("a request or webhook ended in another way") from one

    async def keep_asking(self) -> None:
        while True:
            answer = await self.pay(GOOD)
            codes = [one["extensions"]["code"] for one in answer["errors"]]
            assert codes == ["UNAVAILABLE"], answer
            self.busy += 1

    async def keep_telling(self) -> None:
        """Send the events again and again, as new ones of the same disputes."""
        while True:
            for event in self.events:
                await self.neighbour.webhook(event | {"id": f"evt_{new_id()}"})
            await asyncio.sleep(3)


class Stopwatch:
    """The seconds of each step since the step before."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        self.began = time.perf_counter()

    def stop(self, step: str) -> None:
        self.times[step] = time.perf_counter() - self.began
        self.start()


if __name__ == "__main__":
    typer.run(main)
