"""Visitors of a portal, who send every kind of request, and check each response."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from identity.tokens import Subject
from models import READ_SCOPES, AccessEntry
from models.database import open_engine
from tests.fault_injection.cluster import Cluster
from tests.fault_injection.network import Network
from tests.support import postgres
from tests.support.document_links import link, made
from tests.support.payments import ASKS, PAY, Paying, serving, unserved

NAME = "{ client { name } }"
RIGHT_NAME = b'{"data":{"client":{"name":"Ana Prieto"}}}'
OWED = 10_000
# Requests that need no database, or that report its state.
PROBES = ("livez", "readyz")
# Seconds until a response, and until all responses are right after the end of a fault.
ANSWERED_WITHIN_S, READY_WITHIN_S, RECOVERED_WITHIN_S = 10.0, 2.5, 5.0


@dataclass(frozen=True)
class Answer:
    """A response, and the seconds that it took."""

    way: str
    response: httpx.Response
    seconds: float

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def operation(self) -> str:
        """Return the name of the operation that was sent. Responses come in any order."""
        query: str = json.loads(self.response.request.content)["query"]
        return query.split()[1]

    def __str__(self) -> str:
        return f"{self.way}: {self.status} in {self.seconds:.1f} s: {self.response.text[:300]}"


@dataclass
class Visitors:
    """A client, a dashboard, Stripe, and a monitor of the server.

    `input`: the client's payment, which is sent with the same key until it has succeeded.
    """

    portal: Paying
    dashboard: str
    document: str
    input: dict[str, Any]
    event: dict[str, Any]
    # Factor of every time limit, since `make test` runs on slow machines too.
    patience: float = 1.0
    answers: list[Answer] = field(default_factory=list)
    asked: int = 0

    def ways(self) -> Mapping[str, Callable[[], Awaitable[httpx.Response]]]:
        portal, http = self.portal, self.portal.http
        bearer = {"Authorization": f"Bearer {self.dashboard}"}
        return {
            "repeated read": lambda: portal.ask(NAME, portal.bearer),
            "new read": self.new_read,
            "payment": lambda: portal.ask(PAY, portal.bearer, input=self.input),
            "document": lambda: http.get(self.document),
            "export": lambda: http.get("/export/clients.csv", headers=bearer),
            "webhook": lambda: portal.webhook(self.event),
            "livez": lambda: http.get("/livez"),
            "readyz": lambda: http.get("/readyz"),
        }

    async def new_read(self) -> httpx.Response:
        """Send an operation that is new to the caches."""
        self.asked += 1
        return await self.portal.ask(f"query N{self.asked} {NAME}", self.portal.bearer)

    async def ask(self, way: str) -> Answer:
        began = time.monotonic()
        response = await self.ways()[way]()
        answer = Answer(way, response, time.monotonic() - began)
        self.answers.append(answer)
        judge(answer, self.patience)
        return answer

    async def ask_all(self) -> dict[str, Answer]:
        """Send every kind of request at once."""
        answers = await asyncio.gather(*(self.ask(way) for way in self.ways()))
        return {answer.way: answer for answer in answers}

    async def recover(self) -> None:
        """Send requests until every response is right; fail if that takes too long."""
        until = time.monotonic() + RECOVERED_WITHIN_S * self.patience
        while True:
            answers = (await self.ask_all()).values()
            wrong = [str(answer) for answer in answers if answer.status != 200]
            if not wrong:
                return
            assert time.monotonic() < until, wrong
            await asyncio.sleep(0.1)

    async def rest(self) -> None:
        """Check the final state: one charge, and an audit entry for each client's read."""
        await self.portal.read_audit.flush()
        # The server may be another one by now.
        async with open_engine(self.portal.url) as engine:
            self.portal.engine = engine
            await self.judge_rows()

    async def judge_rows(self) -> None:
        portal = self.portal
        assert len(portal.charges()) == 1
        assert await portal.ledger_of_payments() == OWED
        noted = {entry.operation for entry in await portal.all(AccessEntry)}
        read = {
            one.operation for one in self.answers if one.way == "new read" and one.status == 200
        }
        assert read <= noted


def judge(answer: Answer, patience: float = 1.0) -> None:
    """Check that a response is right, or 503 with Retry-After, and in time."""
    said = str(answer)
    soon = READY_WITHIN_S if answer.way in PROBES else ANSWERED_WITHIN_S
    assert answer.seconds < soon * patience, said
    assert answer.status in (200, 503), said
    if answer.way == "livez":
        assert answer.status == 200, said
    elif answer.status == 503 and answer.way != "readyz":
        assert int(answer.response.headers["Retry-After"]) > 0, said
        if answer.way in ("repeated read", "new read", "payment", "export"):
            (error,) = answer.response.json()["errors"]
            assert error["extensions"]["code"] == "UNAVAILABLE", said
    elif answer.way in ("repeated read", "new read"):
        assert answer.response.content == RIGHT_NAME, said
    elif answer.way == "payment":
        came_to = answer.response.json()["data"]["pay"]["__typename"]
        assert came_to in ("PaySucceeded", "PayProcessing", "PaymentInProgress"), said
    elif answer.way == "document":
        assert answer.response.content.startswith(b"%PDF"), said
    elif answer.way == "export":
        assert len(answer.response.text.splitlines()) == 3, said


async def visitors(portal: Paying, patience: float = 1.0) -> Visitors:
    """Prepare the visitors' requests, and send each kind once."""
    await portal.invoice(OWED)
    subject = Subject(portal.practice_id)
    dashboard = await portal.token(subject, scopes=READ_SCOPES)
    document = await link(portal, await made(portal, "stm"), portal.bearer)
    await portal.pay(OWED, portal.card(ASKS))
    event = portal.store.all("event")[-1]
    made_by = Visitors(
        portal,
        dashboard,
        document["printUrl"].removeprefix("http://127.0.0.1:8000"),
        portal.input(OWED, portal.card()),
        event,
        patience,
    )
    (payment,) = portal.store.all("payment_intent")
    await portal.cancel(f"pmt_{payment['metadata']['payment']}")
    for way in made_by.ways():
        if way != "payment":
            assert (await made_by.ask(way)).status == 200
    return made_by


@asynccontextmanager
async def visited(
    cluster: Cluster, network: Network, patience: float = 1.0, **more: Any
) -> AsyncIterator[Visitors]:
    """Serve a portal that reaches its database through the network, and give its visitors.

    `more` of its settings.
    """
    name = f"portal_{secrets.token_hex(6)}"
    # The database is removed with the cluster.
    url = await postgres.create(cluster.url, name)
    async with unserved(url) as portal:
        portal.url = network.url(url)
        async with serving(portal, lock_timeout_s=1, **more):
            yield await visitors(portal, patience)
