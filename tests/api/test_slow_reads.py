"""Slow and waiting reads: other requests are answered, and a disconnect ends a read."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any
from unittest.mock import AsyncMock

import asyncpg
import httpx
import pytest
import uvicorn
from sqlalchemy import select, text
from uvicorn.server import ServerState

from billing.documents.links import Signer
from execution.preparation import Preparation
from identity.token_keys import hashed
from identity.tokens import Subject
from models import READ_SCOPES, Client, Practice, Token
from models.database import NO_PRACTICE, Caller, Lane, Lanes
from models.ids import new_id
from tests.support.portal import KEY, Portal, practice, served

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SLOW = "{ client { invoices { nodes { number } } } }"
SLOW_OF_ALL = "{ practice { invoices { nodes { number } } } }"
QUICK = "{ viewer { kind } }"
# The replacement of statements about invoices in tests that need a slow one.
ENDLESS = {
    "postgresql": "SELECT pg_sleep(600)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n",
}
RUNNING = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active'"
    " AND pid <> pg_backend_pid() AND datname = current_database()"
)
LEFT_OPEN = (
    "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    " AND datname = current_database()"
)
# Seconds, far more than a request takes that waits for no endless statement.
SOON_S = 60


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    longest = {"statement_timeout_s": 300, "dashboard_timeout_s": 300, "queue_timeout_s": 60}
    # A kept answer would need no read.
    async with new_database() as url, served(url, **longest, answer_cache_mb=0) as it:
        yield it


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make statements about invoices run for ever."""

    def replaced(lanes: Lanes, sql: str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        return (ENDLESS[lanes.dialect.name], []) if "invoice" in sql else (sql, values)

    value, beside = Lanes.value, Lanes.row_and_value

    def slow_value(
        self: Lanes, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE
    ) -> Awaitable[Any]:
        return value(self, *replaced(self, sql, values), caller)

    def slow_beside(
        self: Lanes, first: Any, second: Any, caller: Caller = NO_PRACTICE
    ) -> Awaitable[Any]:
        return beside(self, first, replaced(self, *second), caller)

    monkeypatch.setattr(Lanes, "value", slow_value)
    monkeypatch.setattr(Lanes, "row_and_value", slow_beside)


async def neighbour(portal: Portal) -> str:
    """Return the token of a client of another practice."""
    practice_id, client_id = new_id(), new_id()
    await portal.insert(Practice, practice(practice_id))
    row = {"practice_id": practice_id, "id": client_id, "name": "Cleo Vance"}
    await portal.insert(Client, row | {"created_at": portal.clock()})
    return await portal.token(Subject(practice_id, client_id=client_id))


def application(portal: Portal) -> Any:
    return portal.http._transport.app  # type: ignore[attr-defined]


def lanes(portal: Portal) -> tuple[Lane, Lane]:
    """Return the lanes of clients and of dashboards."""
    reads = application(portal).state.reads
    return reads.people.lane, reads.dashboards.lane


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.01)


class Browser:
    """Client of the ASGI application that may disconnect before the response."""

    def __init__(self, portal: Portal, query: str, token: str) -> None:
        self.app = application(portal)
        body = json.dumps({"query": query, "variables": {}}, separators=(",", ":")).encode()
        self.messages = [{"type": "http.request", "body": body}]
        self.hung_up = asyncio.Event()
        self.sent: list[Any] = []
        headers = {
            "host": "portal",
            "authorization": f"Bearer {token}",
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 1),
            "server": ("portal", 80),
            "scheme": "http",
            "root_path": "",
            "http_version": "1.1",
        }
        self.asking = asyncio.create_task(self.ask())

    async def ask(self) -> None:
        await self.app(self.scope, self.receive, self.send)

    async def receive(self) -> Any:
        if self.messages:
            return self.messages.pop()
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


Browse = Callable[[str, str], Browser]


@pytest.fixture
async def browse(portal: Portal) -> AsyncIterator[Browse]:
    """Yield a function that sends a query with a token; disconnect all waiting clients
    at the end.
    """
    browsers: list[Browser] = []

    def send(query: str, token: str) -> Browser:
        browsers.append(Browser(portal, query, token))
        return browsers[-1]

    yield send
    await hang_up(browsers)


async def hang_up(browsers: Sequence[Browser]) -> None:
    for browser in browsers:
        browser.hung_up.set()
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*(browser.asking for browser in browsers))


async def asked(portal: Portal, query: str, token: str) -> httpx.Response:
    """Send the same bytes each time, as a browser does."""
    async with asyncio.timeout(SOON_S):
        return await portal.ask(query, token)


@pytest.mark.parametrize("way", ["asked before", "new"])
async def test_disconnect_ends_a_read(
    portal: Portal,
    browse: Browse,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    token, (people, _) = await portal.token(), lanes(portal)
    size = people.free
    if way == "asked before":
        for _ in range(2):
            assert (await asked(portal, SLOW, token)).status_code == 200
        monkeypatch.setattr(Preparation, "prepare", None)
    request.getfixturevalue("endless")
    # More than may run at once, so that some wait for a place when their clients disconnect.
    browsers = [browse(SLOW, token) for _ in range(5)]
    await until(lambda: people.free == size - 2 and people.waiting == 3)
    await until_running(portal, 2)
    await hang_up(browsers)
    assert (people.free, people.waiting) == (size, 0)
    await until_running(portal, 0)
    monkeypatch.undo()
    assert (await asked(portal, QUICK, token)).status_code == 200


@pytest.mark.usefixtures("endless")
async def test_closed_connection_ends_a_read(portal: Portal) -> None:
    token, (people, _) = await portal.token(), lanes(portal)
    size, body = people.free, json.dumps({"query": SLOW})
    head = f"POST /graphql HTTP/1.1\r\nHost: portal\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with listening(portal) as port:
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in connections:
            writer.write((head + body).encode())
        await until(lambda: people.free == size - 2 and people.waiting == 1)
        await until_running(portal, 2)
        for _, writer in connections:
            writer.close()
        await until(lambda: people.free == size and people.waiting == 0)
    await until_running(portal, 0)


@asynccontextmanager
async def listening(portal: Portal) -> AsyncIterator[int]:
    """Serve the portal on a port, as uvicorn does."""
    config = uvicorn.Config(application(portal), lifespan="off", log_level="critical")
    config.load()
    protocol: Any = config.http_protocol_class
    make = partial(protocol, config=config, server_state=ServerState(), app_state={})
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def until_running(portal: Portal, count: int) -> None:
    """Wait until PostgreSQL runs this number of endless statements.

    A statement begins and ends with a delay. A cancel that arrives before the statement begins is
    lost. On SQLite the statements run in threads, and the tests wait for those.
    """
    if not portal.url.startswith("postgresql"):
        return
    async with asyncio.timeout(SOON_S):
        while await running(portal) != count:  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("is_pooled", [False, True])
async def test_cancelled_read_ends_with_its_transaction(
    portal: Portal,
    browse: Browse,
    monkeypatch: pytest.MonkeyPatch,
    is_pooled: bool,
    is_lost: bool,
) -> None:
    """A cancellation is lost where it reaches PostgreSQL before the statement has begun. Behind a
    pooler each read is a transaction, also on the same connection afterwards.
    """
    if not portal.url.startswith("postgresql"):
        pytest.skip("on SQLite a statement is ended by its own connection")
    token, people = await portal.token(), application(portal).state.reads.people
    people.connector.pools_transactions = is_pooled
    await people.close()
    if is_lost:
        monkeypatch.setattr(asyncpg.connect_utils, "_cancel", AsyncMock())
    browser = browse(SLOW, token)
    await until_running(portal, 1)
    await hang_up([browser])
    # Long before the time limit of the statement.
    await until_running(portal, 0)
    assert len(people.idle) == (0 if is_lost else 1)
    assert (await asked(portal, QUICK, token)).status_code == 200
    async with portal.engine.connect() as conn:
        assert await conn.scalar(text(LEFT_OPEN)) == 0


async def running(portal: Portal) -> int:
    async with portal.engine.connect() as conn:
        return int((await conn.execute(text(RUNNING))).scalar_one())


async def test_disconnect_does_not_end_a_change(
    portal: Portal, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, goes_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def acts(*_: Any) -> dict[str, Any]:
        began.set()
        await goes_on.wait()
        done.set()
        return {}

    monkeypatch.setattr("execution.executor.run_mutations", acts)
    change = 'mutation { refreshPayment(input: {paymentId: "pmt_x"}) { __typename } }'
    browser = browse(change, await portal.token())
    await until(began.is_set)
    browser.hung_up.set()
    await asyncio.sleep(0.2)  # Longer than a read would continue.
    assert not browser.asking.done()
    goes_on.set()
    await until(done.is_set)
    await asyncio.wait([browser.asking])


@pytest.mark.usefixtures("endless")
async def test_slow_reads_of_one_practice_leave_places_to_others(
    portal: Portal, browse: Browse
) -> None:
    other, (people, _) = await neighbour(portal), lanes(portal)
    # One token takes two of SQLite's three places, and leaves one.
    bearers = [await portal.token() for _ in range(8 if people.free > 3 else 1)]
    browsers = [browse(SLOW, token) for token in bearers for _ in range(3)]
    running = min(2 * len(bearers), people.most_a_practice)
    await until(lambda: people.of_practice[portal.practice_id] == running)
    await until(lambda: people.waiting == len(browsers) - running)
    assert (await asked(portal, QUICK, other)).status_code == 200
    assert not any(browser.asking.done() for browser in browsers)


@pytest.mark.usefixtures("endless")
async def test_slow_dashboards_do_not_delay_clients(portal: Portal, browse: Browse) -> None:
    subject, scopes = Subject(portal.practice_id), READ_SCOPES
    client, (people, dashboards) = await portal.token(), lanes(portal)
    bearers = [await portal.token(subject, scopes=scopes) for _ in range(3)]
    size = people.free
    browsers = [browse(SLOW_OF_ALL, token) for token in bearers for _ in range(3)]
    await until(lambda: dashboards.waiting > 0 and people.free == size)
    assert (await asked(portal, QUICK, client)).status_code == 200
    assert not any(browser.asking.done() for browser in browsers)


async def test_read_waits_for_a_locked_table_only_briefly(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.session.READ_LOCK_S", 0.2)
    if not portal.url.startswith("postgresql"):
        pytest.skip("on SQLite a read waits for no lock")
    other, token = await neighbour(portal), await portal.token()
    async with portal.engine.begin() as conn:
        await conn.execute(text("LOCK TABLE invoice IN ACCESS EXCLUSIVE MODE"))
        reads = [asyncio.create_task(portal.ask(SLOW, token)) for _ in range(10)]
        assert (await asked(portal, QUICK, other)).status_code == 200
        async with asyncio.timeout(SOON_S):
            answers = await asyncio.gather(*reads)
    assert {answer.status_code for answer in answers} == {503}
    assert (await asked(portal, SLOW, token)).status_code == 200


# -- budgets ---------------------------------------------------------------------------------------


async def test_dashboards_read_has_a_shorter_timeout(
    new_database: NewDatabase, endless: None
) -> None:
    async with new_database() as url, served(url, dashboard_timeout_s=0.2) as portal:
        token = await portal.token(Subject(portal.practice_id), scopes=READ_SCOPES)
        response = await asked(portal, SLOW_OF_ALL, token)
        assert response.status_code == 503
        (error,) = response.json()["errors"]
        assert error["extensions"]["code"] == "TIMEOUT"


async def test_planning_is_charged_to_the_budget(new_database: NewDatabase) -> None:
    async with new_database() as url, served(url) as portal:
        token, budgets = await portal.token(), lanes(portal)[0].budgets
        assert (await asked(portal, "{ client { nonsense } }", token)).status_code == 200
        # The operation was never sent to the database.
        id_ = await token_id(portal, token)
        back_at = budgets.back_at[id_]
        # A cached validation takes no more time.
        assert (await asked(portal, "{ client { nonsense } }", token)).status_code == 200
        assert budgets.back_at[id_] == back_at


async def token_id(portal: Portal, token: str) -> str:
    statement = select(Token.id).where(Token.hash == hashed(token, KEY))
    async with portal.engine.connect() as conn:
        return str((await conn.execute(statement)).scalar_one())


async def link(portal: Portal, token: str) -> str:
    """Return the link to a document, for the holder of a token."""
    links = Signer("", KEY).links(await token_id(portal, token), portal.clock())
    document = f"inv_{new_id()}"
    return f"{links.stem}{document}/print{links.query}{links.signature(document, 'print')}"


async def test_token_over_its_budget_is_refused(new_database: NewDatabase) -> None:
    async with new_database() as url, served(url, token_seconds=7) as portal:
        token, other = await portal.token(), await neighbour(portal)
        assert (await asked(portal, QUICK, token)).status_code == 200
        budgets = lanes(portal)[0].budgets
        budgets.spend(Caller(portal.practice_id, await token_id(portal, token)), 1_000)
        long = "{ viewer { kind name } }"
        for query in (QUICK, long):  # The first query was sent before.
            response = await asked(portal, query, token)
            assert response.status_code == 429
            assert int(response.headers["retry-after"]) >= 1
            (error,) = response.json()["errors"]
            assert error["extensions"]["code"] == "RATE_LIMITED"
            cost = error["extensions"]["cost"]
            assert cost.pop("retryAfter") == int(response.headers["retry-after"])
            assert cost == {"secondsPerMinute": 7, "secondsLeft": 0, "statementsAtOnce": 2}
        change = 'mutation { refreshPayment(input: {paymentId: "pmt_x"}) { __typename } }'
        assert (await asked(portal, change, token)).status_code == 429
        document = await portal.http.get(await link(portal, token))
        assert document.status_code == 429
        assert int(document.headers["retry-after"]) >= 1
        assert (await asked(portal, QUICK, other)).status_code == 200
