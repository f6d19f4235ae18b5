"""PgBouncer in front of the database: responses are right, or the server does not start."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from identity.tokens import Subject
from models import Scope, database
from models.database import DatabaseUnavailable, UnfitDatabase, Waits, open_engine
from models.database.connector import PostgresConnector
from models.database.dsn import Dsn
from server.cli import main as cli
from tests.conftest import do_without
from tests.fault_injection import pgbouncer as poolers
from tests.fault_injection.cluster import Cluster
from tests.fault_injection.test_darkness import ask_for
from tests.fault_injection.visiting import visitors
from tests.support import postgres
from tests.support.demo_server import free_port
from tests.support.payments import Paying, serving, unserved
from tests.support.portal import KEY

pytestmark = [pytest.mark.faults, pytest.mark.server]

WAITS = Waits(lock_s=3, statement_s=7, idle_s=15)
# Each has another value in the same place, so that a response of another statement shows.
QUERIES = (
    "{ viewer { kind } }",
    "{ clients(first: 5) { nodes { name } } }",
    "{ clients(first: 5) { nodes { id } } }",
    "{ clients(first: 5) { nodes { balance { payable { amount } } } } }",
    "{ clients(first: 5) { nodes { balance { payable { minorUnits } } } } }",
    "{ client { name } }",
    "{ client { id } }",
    "{ client { balance { payable { amount currency } } } }",
    "{ client { invoices(first: 3) { nodes { number total { amount } } } } }",
    "{ client { invoices(first: 3) { nodes { total { minorUnits } number } } } }",
)
ROUNDS, AT_ONCE = 15, 24
# Seconds for which visitors send requests, while something restarts.
ASKED_S = 5.0
# Without the portal's own limits, since the pooler is under test.
UNLIMITED = {"token_statements": 200, "token_seconds": 1e6, "queue_timeout_s": 60}


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest) -> str:
    found = poolers.find()
    if found is None:
        do_without(request.config, "PgBouncer", poolers.HOW_TO_GET, is_optional=True)
    return found


@pytest.fixture(scope="module")
def prepares(program: str) -> bool:
    return poolers.version(program) >= poolers.PREPARES


@pytest.fixture
async def url(postgres_url: str) -> AsyncIterator[str]:
    async with postgres.database(postgres_url) as url:
        yield url


@pytest.fixture(params=["session", "transaction"])
def pooled(request: pytest.FixtureRequest, program: str, prepares: bool, url: str) -> Iterator[str]:
    """Return the URL of a pooler that the portal can use."""
    with poolers.pgbouncer(program, url, **usable(request.param, prepares)) as pooled:
        yield pooled


def usable(mode: str, prepares: bool) -> dict[str, Any]:
    """Return settings of a pooler that the portal can use, or skip the test."""
    if mode == "transaction" and not prepares:
        pytest.skip("PgBouncer prepares statements from 1.21 on")
    more = {"max_prepared_statements": 100} if prepares else {}
    # PgBouncer tries a server again 15 seconds after a failed login, unless told otherwise.
    size = {"default_pool_size": 60 if mode == "session" else 4, "server_login_retry": 1}
    return {"pool_mode": mode, **size, **more}


@asynccontextmanager
async def viewers(portal: Paying) -> AsyncIterator[dict[str, str]]:
    subject = Subject(portal.practice_id)
    scopes = (set(Scope), {Scope.BILLING_READ}, {Scope.BILLING_READ, Scope.PHI_READ})
    tokens = {"client": await portal.token()}
    for number, some in enumerate(scopes):
        tokens[f"dashboard {number}"] = await portal.token(subject, scopes=frozenset(some))
    yield tokens


async def asked(portal: Paying, tokens: dict[str, str]) -> dict[tuple[str, str], Any]:
    """Return the response to each query for each viewer."""
    return {
        (who, query): (await portal.ask(query, token)).json()
        for who, token in tokens.items()
        for query in QUERIES
    }


async def all_asked(
    portal: Paying, tokens: dict[str, str], cases: list[tuple[str, str]]
) -> list[httpx.Response]:
    """Return the responses to many requests, several of which are under way at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(who: str, query: str) -> httpx.Response:
        async with places:
            return await portal.ask(query, tokens[who])

    return await asyncio.gather(*(ask(*case) for case in cases))


async def test_every_response_is_right(url: str, pooled: str) -> None:
    async with unserved(url) as portal, viewers(portal) as tokens:
        for client_id in (portal.client_id, portal.other_id):
            await portal.invoice(52_500, client_id)
        async with serving(portal):
            right = await asked(portal, tokens)
        portal.url = pooled
        async with serving(portal, **UNLIMITED):
            cases = [*right] * ROUNDS
            random.Random(1).shuffle(cases)
            paying = asyncio.create_task(portal.pay(52_500, portal.card()))
            read = await all_asked(portal, tokens, cases)
            assert (await paying)["__typename"] == "PaySucceeded"
            before, after = right, await asked(portal, tokens)
    assert before != after
    for case, answer in zip(cases, read, strict=True):
        assert answer.status_code == 200, answer.text
        assert answer.json() in (before[case], after[case]), case


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("restarted", ["pooler", "server"])
async def test_pooled_portal_survives_a_restart_of(
    program: str, prepares: bool, cluster: Cluster, mode: str, restarted: str
) -> None:
    """Visitors send requests throughout. The pooler is killed, the server restarts behind it."""
    settings = usable(mode, prepares)
    url = await postgres.create(cluster.url, f"portal_{secrets.token_hex(6)}")
    start = partial(poolers.pgbouncer, program, url, port=free_port(), **settings)
    async with unserved(url) as portal:
        with ExitStack() as pooler:
            portal.url = pooler.enter_context(start())
            async with serving(portal, lock_timeout_s=1):
                visiting = await visitors(portal)
                asking = asyncio.create_task(ask_for(visiting, ASKED_S))
                await asyncio.sleep(1)
                if restarted == "server":
                    await asyncio.to_thread(cluster.restart)
                else:
                    pooler.close()
                    await asyncio.to_thread(pooler.enter_context, start())
                await asking
                await visiting.recover()
                await visiting.rest()


async def test_session_settings_hold(pooled: str) -> None:
    """Reads and changes have different settings, and use the same pool."""
    names = ("statement_timeout", "lock_timeout", "transaction_read_only", "jit", "TimeZone")
    settings = ", ".join(f"current_setting('{name}')" for name in names)
    sql = f"SELECT {settings}, pg_sleep(0.01)::text"
    reads = database.reads(pooled, timeout_s=9)
    async with open_engine(pooled, WAITS) as engine:

        async def change() -> Any:
            async with engine.begin() as conn:
                return tuple((await conn.execute(text(sql))).one())

        found = await asyncio.gather(
            *(work() for _ in range(40) for work in (change, lambda: reads.row(sql, [])))
        )
    await reads.close()
    changed, read = found[::2], found[1::2]
    assert {row[:3] for row in changed} == {("7s", "3s", "off")}
    assert {row[0:5:2] for row in read} == {("9s", "on", "UTC")}
    assert {row[3] for row in read} == {"off"}


async def test_no_setting_is_left_in_the_pools_sessions(url: str, pooled: str) -> None:
    """Another program with the same pool finds its own settings."""
    reads = database.reads(pooled, timeout_s=9)
    await reads.value("SELECT 1", [])
    await reads.close()
    sql = "SELECT current_setting('statement_timeout') || current_setting('transaction_read_only')"
    async with open_engine(pooled, WAITS) as engine, engine.begin() as conn:
        await conn.execute(text("SELECT 1"))
    connector = PostgresConnector(Dsn.of(pooled))
    others = [await connector.open() for _ in range(6)]
    found = {await other.fetchval(sql) for other in others}
    for other in others:
        await other.close()
    assert found == {"0off"}


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "transactions are pooled": ({"pool_mode": "transaction"}, "loses prepared statements"),
    "statements are pooled": ({"pool_mode": "statement"}, "no transactions"),
}


@pytest.mark.parametrize("case", UNFIT)
async def test_server_does_not_start_if(program: str, prepares: bool, url: str, case: str) -> None:
    settings, _ = UNFIT[case]
    more: dict[str, Any] = {"max_prepared_statements": 0} if prepares else {}
    with poolers.pgbouncer(program, url, **settings, **more) as pooled:
        with pytest.raises(UnfitDatabase, match=r"PgBouncer does with pool_mode = session"):
            await database.refuse_unfit(pooled, WAITS, 9)
        # A server started in another way does not respond either.
        reads = database.reads(pooled)
        with pytest.raises(UnfitDatabase):
            await reads.value("SELECT 1", [])
        await reads.close()


async def test_pool_of_one_session_is_reported_in_time(program: str, url: str) -> None:
    settings: dict[str, Any] = {"pool_mode": "session", "default_pool_size": 1}
    with poolers.pgbouncer(program, url, **settings) as pooled:
        async with asyncio.timeout(12):
            with pytest.raises(DatabaseUnavailable, match="lends no two sessions in time"):
                await database.refuse_unfit(pooled, WAITS, 9)


async def test_responses_are_right_or_refused_behind_an_undetected_pooler(
    program: str, prepares: bool, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pooler mixes sessions up, like one whose mode was changed under the server."""

    async def find_no_pooler(*_: object) -> bool:
        return False

    monkeypatch.setattr(PostgresConnector, "find_pooler", find_no_pooler)
    more: dict[str, Any] = {"max_prepared_statements": 0} if prepares else {}
    async with unserved(url) as portal, viewers(portal) as tokens:
        await portal.invoice(52_500)
        async with serving(portal):
            right = await asked(portal, tokens)
        with poolers.pgbouncer(program, url, pool_mode="transaction", **more) as portal.url:
            async with serving(portal, **UNLIMITED):
                cases = [*right] * 5
                random.Random(1).shuffle(cases)
                answers = await all_asked(portal, tokens, cases)
    refused = 0
    for case, answer in zip(cases, answers, strict=True):
        refused += answer.status_code == 503
        assert answer.status_code == 503 or answer.json() == right[case], case
    assert refused


def test_command_explains_the_pooler_in_a_sentence(
    program: str, prepares: bool, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    more: dict[str, Any] = {"max_prepared_statements": 0} if prepares else {}
    with poolers.pgbouncer(program, postgres_url, pool_mode="transaction", **more) as pooled:
        environment = {"DATABASE_URL": pooled, "TOKEN_KEY": KEY, "SANDBOX": "true"}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for command in ("serve", "migrate"):
            result = CliRunner().invoke(cli.app, [command])
            assert result.exit_code == 1
            assert result.stderr.startswith("A pooler before the database loses prepared")
            assert result.stderr.count("\n") == 1
