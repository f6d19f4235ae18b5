"""Servers over one database: some keep answers, and one keeps none."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest

from billing.stripe import Stripe
from models.measures import CACHE_LOOKUPS
from server.app import app
from server.background_writes import flush_regularly
from server.settings import Settings
from tests.support.comparison import Case
from tests.support.headers import compared_headers
from tests.support.portal import KEY, Clock

KEPT_MB = 16
# Reads whose audit entries may wait.
WAITING = 200
# How often a read is compared if the answer without a cache changes meanwhile.
ATTEMPTS = 3

Answer = tuple[int, bytes, dict[str, str]]


class OldAnswer(AssertionError):
    """A server that keeps answers has sent another one than the plain server."""


class Server:
    """An application with its own connections, and with its own cache unless `cache_mb` is 0."""

    def __init__(self, url: str, clock: Clock, cache_mb: int, stripe: Stripe | None = None) -> None:
        # Each token sends more than its budget for a minute admits.
        settings = Settings(
            database_url=url,
            token_key=KEY,
            database_connections=2,
            token_seconds=6000,
            answer_cache_mb=cache_mb,
            sandbox_file=":memory:",
        )
        self.application = app(settings, now=clock, stripe=stripe)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.application, raise_app_exceptions=False),
            base_url="http://portal",
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        lifespan = self.application.router.lifespan_context(self.application)
        async with lifespan, self.http:
            yield self

    async def send(self, query: str, secret: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {secret}"}
        return await self.http.post("/graphql", json={"query": query, **more}, headers=headers)

    async def read(self, case: Case, secret: str) -> Answer:
        more = {"variables": case.variables, "operationName": case.operation_name}
        response = await self.send(case.query, secret, **more)
        return response.status_code, response.content, compared_headers(response)

    async def flush(self) -> None:
        """Write what requests leave behind: the audit log, and the use of tokens."""
        await self.application.state.read_audit.flush()
        await self.application.state.token_usage.flush()


@dataclass
class Judge:
    """The comparison of servers that keep answers with one that does not."""

    clock: Clock
    secrets: dict[str, str]
    keeping: list[Server]
    plain: Server
    # What was done since the judge began, the last at the end.
    history: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    # The last answer of the plain server to each read.
    last: dict[int, Answer] = field(default_factory=dict)

    async def check(self, case: Case) -> Answer:
        """Assert that each server that keeps answers answers as the plain one, twice.

        An answer may only differ if the plain one has changed at the same time.
        """
        secret = self.secrets[case.who]
        for _ in range(ATTEMPTS):
            expected = await self.plain.read(case, secret)
            before = hits()
            found = [await one.read(case, secret) for one in self.keeping for _ in range(2)]
            self.told["reads"] += len(found)
            self.told["kept"] += hits() - before
            if all(one == expected for one in found):
                self.told["with data"] += b'"data":{' in expected[1]
                self.told["changed"] += self.last.get(id(case), expected) != expected
                self.last[id(case)] = expected
                return expected
            if expected == await self.plain.read(case, secret):
                break
            self.told["changed meanwhile"] += 1
        raise OldAnswer(self.difference(case, expected, found))

    async def check_all(self, cases: Iterable[Case]) -> None:
        for case in cases:
            await self.check(case)
            await self.flush_if_due()

    async def flush_if_due(self) -> None:
        audits = (one.application.state.read_audit for one in (*self.keeping, self.plain))
        if any(audit.unwritten > WAITING for audit in audits):
            await self.flush()

    async def flush(self) -> None:
        self.note("flush")
        for one in (*self.keeping, self.plain):
            await one.flush()

    def note(self, what: str) -> None:
        self.history.append(what)

    def difference(self, case: Case, expected: Answer, found: list[Answer]) -> str:
        wrong = next(at for at, one in enumerate(found) if one != expected)
        parts = [
            f"server {wrong // 2}, request {wrong % 2 + 1} of 2, at {self.clock()}: {case.who}",
            f"{case.query}\n{json.dumps(dict(case.variables))}",
            f"kept:  {found[wrong]}\nplain: {expected}",
            "last steps: " + "\n  ".join(self.history[-12:]),
        ]
        return "\n".join(parts)


def hits() -> int:
    """Return the number of answers that were kept and sent again, in this process."""
    return CACHE_LOOKUPS.values["answers", "hit"]


@asynccontextmanager
async def judging(
    url: str,
    secrets: dict[str, str],
    clock: Clock | None = None,
    keeping: int = 1,
    stripe: Callable[[], Stripe] | None = None,
) -> AsyncIterator[Judge]:
    """Yield a judge over servers of a database. They write nothing by themselves, but what an event
    of Stripe tells. `stripe` makes a client of Stripe for each server.
    """
    clock = clock or Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.app.flush_regularly", partial(flush_regularly, every_s=1e6))
        patch.setattr("execution.read_audit.WRITTEN_EVERY_S", 1e6)
        patch.setattr("billing.payments.reconcile.EVERY_S", 1e6)
        patch.setattr("billing.outbox.delivery.LOOK_EVERY_S", 1e6)
        async with AsyncExitStack() as stack:
            servers = [
                await stack.enter_async_context(
                    Server(url, clock, cache_mb, stripe and stripe()).running()
                )
                for cache_mb in (*[KEPT_MB] * keeping, 0)
            ]
            yield Judge(clock, secrets, servers[:-1], servers[-1])
