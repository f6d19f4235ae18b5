"""Deadline of a request: a 503 in time, also while the application waits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from models.database import SERVER
from server.http.deadline import Deadline, RunningRequests
from tests.support.payments import paying

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SECONDS = 0.2
NAME = "{ client { name } }"


class Slow:
    """Application that waits for ever, or responds slowly once it has begun."""

    def __init__(self) -> None:
        self.has_begun, self.was_cancelled = asyncio.Event(), False
        routes = [
            Route("/graphql", self.never, methods=["POST"]),
            Route("/documents/x", self.never),
            Route("/export/x.csv", self.slowly),
        ]
        self.app = Starlette(
            routes=routes,
            middleware=[Middleware(Deadline, seconds=SECONDS, running=RunningRequests())],
        )

    async def never(self, request: Request) -> Response:
        self.has_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        raise AssertionError

    async def slowly(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[str]:
            for _ in range(3):
                yield "a part\n"
                await asyncio.sleep(SECONDS)

        return StreamingResponse(parts())


@pytest.fixture
def slow() -> Slow:
    return Slow()


async def asked(slow: Slow, method: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(slow.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://portal") as http:
        return await http.request(method, path)


def is_told_once(caplog: pytest.LogCaptureFixture) -> bool:
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return len(told) == 1 and told[0].exc_info is None


async def test_graphql_client_gets_503_with_a_graphql_error(
    slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await asked(slow, "POST", "/graphql")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert slow.was_cancelled
    assert is_told_once(caplog)


async def test_document_request_gets_503(slow: Slow) -> None:
    answer = await asked(slow, "GET", "/documents/x")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


async def test_response_that_has_begun_is_not_cut_off(slow: Slow) -> None:
    answer = await asked(slow, "GET", "/export/x.csv")
    assert (answer.status_code, answer.text) == (200, "a part\n" * 3)


@pytest.mark.parametrize(("method", "path"), [("POST", "/graphql"), ("GET", "/documents/x")])
async def test_request_canceled_by_the_server_gets_503(
    slow: Slow, method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As uvicorn cancels requests when its process is to end."""
    asking = asyncio.create_task(asked(slow, method, path))
    await slow.has_begun.wait()
    asking.cancel()
    answer = await asking
    assert answer.status_code == 503
    assert is_told_once(caplog)


@pytest.mark.parametrize("query", [NAME, f"query New {NAME}"], ids=["asked before", "new"])
async def test_a_portals_reads_have_a_deadline(
    new_database: NewDatabase, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    """By both ways of a request, while nothing else ends their waiting."""
    limits = {"request_timeout_s": 1, "queue_timeout_s": 60, "database_connections": 2}
    async with new_database() as url, paying(url, **limits) as portal:
        assert (await portal.ask(NAME, portal.bearer)).status_code == 200
        lane = portal.reads.people.lane
        async with AsyncExitStack() as held:
            while lane.free:
                await held.enter_async_context(lane.place(SERVER))
            caplog.clear()
            async with asyncio.timeout(20):
                answer = await portal.ask(query, portal.bearer)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert "no answer in time" in caplog.text
        # The lane is the setting's, where the database has one of that size.
        assert lane.free == (2 if url.startswith("postgresql") else 3)
        assert (await portal.ask(query, portal.bearer)).status_code == 200
