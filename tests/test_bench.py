"""The hand-written endpoint that the portal is measured against answers with the same bytes."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bench import practice
from bench.hand_written import HandWritten
from bench.operations import Asked, Askers
from billing.demo import filling
from billing.demo.many import Plan
from models import migrations
from models.connections import engine
from server.app import app
from server.settings import Settings
from tests import postgres
from tests.portal import KEY

OPERATIONS = ("billing", "dashboard", "tiny", "deep", "counted", "node", "revenue")


@dataclass
class Sides:
    """The portal and the endpoint over one database, and the practice in it."""

    askers: Askers
    portal: httpx.AsyncClient
    by_hand: httpx.AsyncClient


@pytest.fixture(scope="module")
async def sides(postgres_url: str) -> AsyncIterator[Sides]:
    async with postgres.database(postgres_url) as url:
        writing = engine(url)
        now = dt.datetime.now(dt.UTC)
        await migrations.migrate(writing)
        await filling.fill(writing, Plan(now.date(), 1, 0, 60), lambda _: None)
        askers = await practice.askers(writing, KEY, now, 20)
        await writing.dispose()
        portal = app(Settings(database_url=url, token_key=KEY))
        by_hand = HandWritten(url, KEY)
        async with (
            portal.router.lifespan_context(portal),
            client(portal) as asking_portal,
            client(by_hand) as asking_by_hand,
        ):
            yield Sides(askers, asking_portal, asking_by_hand)
        await by_hand.close()


def client(application: Callable[..., Any]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application)
    return httpx.AsyncClient(transport=transport, base_url="http://bench")


async def answered(client: httpx.AsyncClient, asked: Asked) -> httpx.Response:
    headers = {"Authorization": f"Bearer {asked.token}"}
    return await client.post("/graphql", json=asked.body, headers=headers)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_both_answer_with_the_same_bytes(sides: Sides, operation: str) -> None:
    for asked in sides.askers.asked()[operation]:
        portal = await answered(sides.portal, asked)
        by_hand = await answered(sides.by_hand, asked)
        assert portal.status_code == by_hand.status_code == 200
        assert portal.content == by_hand.content
        assert b'"errors"' not in portal.content
        assert portal.headers.items() == by_hand.headers.items()


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_both_turn_an_unknown_token_away(sides: Sides, operation: str) -> None:
    known = sides.askers.asked()[operation][0]
    unknown = Asked(f"{known.token[:-1]}!", known.operation, known.query, known.variables)
    for side in (sides.portal, sides.by_hand):
        assert (await answered(side, unknown)).status_code == 401


async def test_the_billing_page_that_is_measured_has_all_its_lists(sides: Sides) -> None:
    asked = sides.askers.asked()["billing"]
    pages = [(await answered(sides.portal, each)).json()["data"]["client"] for each in asked]
    for connection in ("invoices", "statements", "superbills", "accountHistory"):
        assert any(page[connection]["nodes"] for page in pages), connection
    assert any(page["paymentMethods"] for page in pages)
    assert any(page["invoices"]["pageInfo"]["hasNextPage"] for page in pages)
    statuses = {n["status"] for page in pages for n in page["accountHistory"]["nodes"]}
    assert len(statuses) > 3
