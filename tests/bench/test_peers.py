"""The benchmark's peers of other libraries and languages answer with the portal's values."""

import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from bench import comparing, practice, servers, targets
from bench.load import HOST
from bench.operations import NAMES, Asked, Askers
from bench.targets import Target
from demo import filling
from demo.many import PracticePlan
from identity.tokens import new_secret
from models.database import engine
from server.app import app
from server.settings import Settings
from tests.bench.test_bench import RARE
from tests.support import postgres
from tests.support.empty_databases import prepare
from tests.support.portal import KEY

PEERS = (
    targets.MERCURIUS,
    targets.YOGA,
    targets.POSTGRAPHILE,
    targets.STRAWCHEMY,
    targets.DJANGO,
)
CLIENTS = 60

pytestmark = pytest.mark.server


def marked(peer: Target) -> Any:
    why = peer.missing()
    marks = [pytest.mark.skipif(why is not None, reason=str(why))]
    if peer.is_apart:
        marks.append(pytest.mark.rest)  # Its pages take a third of a second each.
    return pytest.param(peer, id=peer.key, marks=marks)


every_peer = pytest.mark.parametrize("peer", [marked(peer) for peer in PEERS])


@dataclass
class Sides:
    """The portal and its peers over one database, and the tokens and operations to ask with."""

    askers: Askers
    portal: httpx.AsyncClient
    peers: Mapping[str, httpx.AsyncClient]


@pytest.fixture(scope="module")
async def sides(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sides]:
    folder = tmp_path_factory.mktemp("peers")
    async with postgres.database(postgres_url) as url:
        askers = await filled(url)
        owning = postgres.as_owner(url)
        own = {**servers.ENVIRONMENT, "DATABASE_URL": owning, "TOKEN_KEY": KEY}
        portal = app(Settings(database_url=url, token_key=KEY))
        transport = httpx.ASGITransport(portal)
        with ExitStack() as running:
            started = [
                running.enter_context(servers.running(peer, folder, own, None))
                for peer in PEERS
                if not peer.missing()
            ]
            async with (
                portal.router.lifespan_context(portal),
                httpx.AsyncClient(transport=transport, base_url="http://portal") as asking,
            ):
                peers = {
                    one.target.key: httpx.AsyncClient(base_url=f"http://{HOST}:{one.port}")
                    for one in started
                }
                yield Sides(askers, asking, peers)
                for peer in peers.values():
                    await peer.aclose()


async def filled(url: str) -> Askers:
    """Make a practice, and the objects that PostGraphile needs in its database."""
    await prepare(url)
    writing, now = engine(postgres.as_owner(url)), dt.datetime.now(dt.UTC)
    await filling.fill_practice(writing, PracticePlan(now.date(), 1, 0, CLIENTS), lambda _: None)
    await postgres.execute(url, RARE)
    askers = await practice.askers(writing, KEY, now, CLIENTS)
    await writing.dispose()
    assert targets.POSTGRAPHILE.sql is not None
    await postgres.execute(url, targets.POSTGRAPHILE.sql.read_text())
    return askers


async def answered(client: httpx.AsyncClient, asked: Asked) -> httpx.Response:
    headers = {"Authorization": f"Bearer {asked.token}"}
    return await client.post("/graphql", json=asked.body, headers=headers, timeout=30)


async def answered_by(sides: Sides, peer: Target, asked: Asked) -> httpx.Response:
    (own,) = peer.asking([asked])
    return await answered(sides.peers[peer.key], own)


@pytest.mark.parametrize("operation", NAMES)
@every_peer
async def test_peer_answers_with_the_portals_json(
    sides: Sides, peer: Target, operation: str
) -> None:
    for asked in sides.askers.asked()[operation]:
        told = (await answered(sides.portal, asked)).json()
        assert "errors" not in told
        # Twice, since some peers compile an operation that they have seen before.
        for _ in range(2):
            response = await answered_by(sides, peer, asked)
            assert response.status_code == 200
            its = peer.shape(response.json()) if peer.shape else response.json()
            assert comparing.difference(its, told) is None


@every_peer
async def test_peer_refuses_an_unknown_token(sides: Sides, peer: Target) -> None:
    known = sides.askers.asked()["tiny"][0]
    for token in (f"{known.token[:-1]}!", new_secret()):
        unknown = replace(known, token=token)
        assert (await answered_by(sides, peer, unknown)).status_code == 401


@every_peer
async def test_peer_shows_a_client_no_row_of_another(sides: Sides, peer: Target) -> None:
    own, other, *_ = sides.askers.asked()["node"]
    response = await answered_by(sides, peer, replace(own, variables=other.variables))
    assert json.loads(response.text) == {"data": {"node": None}}
