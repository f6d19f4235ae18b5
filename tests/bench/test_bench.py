"""The benchmark's peers answer like the portal: the hand-written endpoint with the same bytes, the
peer in Strawberry and SQLAlchemy with the same values.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bench import practice
from bench.hand_written import HandWritten
from bench.operations import NAMES, Asked, Askers
from bench.peers.idiomatic import server as idiomatic
from demo import filling
from demo.many import PracticePlan
from identity.tokens import new_secret
from models.database import engine
from server.app import app
from server.settings import Settings
from tests.support import postgres
from tests.support.empty_databases import prepare
from tests.support.headers import compared_headers
from tests.support.portal import KEY

CLIENTS = 60
# Rows that `load-demo` does not make, so that they are compared too: unshared invoices, and
# payments that are refunded, allocated to several invoices, taken back from one, or disputed.
RARE = """
UPDATE invoice SET shared_at = NULL WHERE serial % 7 = 0;
UPDATE statement SET shared_at = NULL WHERE serial % 5 = 0;
UPDATE superbill SET shared_at = NULL WHERE serial % 5 = 0;
INSERT INTO ledger_entry
    (practice_id, id, client_id, date, posted_on, kind, description, amount_minor, payment_id,
    reference, created_at)
SELECT practice_id, gen_random_uuid(), client_id, date, posted_on, 'REFUND', 'Refund',
    -amount_minor, payment_id, 'refund ' || id, created_at
FROM ledger_entry WHERE kind = 'PAYMENT' AND ascii(right(id::text, 1)) % 3 = 0;
INSERT INTO allocation
    (practice_id, id, client_id, invoice_id, payment_id, is_credit, amount_minor, date, created_at)
SELECT a.practice_id, gen_random_uuid(), a.client_id, i.id, a.payment_id, false, 100, a.date,
    a.created_at
FROM allocation a JOIN invoice i USING (practice_id, client_id)
WHERE i.id <> a.invoice_id AND i.serial % 5 = 0 AND a.payment_id IS NOT NULL;
INSERT INTO allocation
    (practice_id, id, client_id, invoice_id, payment_id, is_credit, amount_minor, date, created_at)
SELECT practice_id, gen_random_uuid(), client_id, invoice_id, payment_id, false, -amount_minor,
    date, created_at
FROM allocation WHERE ascii(right(id::text, 1)) % 4 = 0 AND payment_id IS NOT NULL;
INSERT INTO dispute
    (practice_id, id, client_id, payment_id, amount_minor, state, stripe_account, stripe_id,
    disputed_at, created_at, changed_at)
SELECT practice_id, id, client_id, id, amount_minor,
    CASE ascii(right(id::text, 1)) % 2 WHEN 0 THEN 'OPEN' ELSE 'WON' END, 'acct_1', id,
    created_at, created_at, created_at
FROM payment WHERE state = 'SUCCEEDED' AND ascii(right(id::text, 1)) % 5 = 0;
INSERT INTO ledger_entry
    (practice_id, id, client_id, date, posted_on, kind, description, amount_minor, payment_id,
    reference, created_at, dispute_id)
SELECT practice_id, gen_random_uuid(), client_id, date, date, 'DISPUTE', 'Dispute', amount_minor,
    payment_id, 'dispute ' || id, created_at, payment_id
FROM allocation WHERE amount_minor > 0 AND payment_id IN (SELECT id FROM dispute);
INSERT INTO allocation
    (practice_id, id, client_id, invoice_id, payment_id, is_credit, amount_minor, date, created_at,
    dispute_id)
SELECT practice_id, gen_random_uuid(), client_id, invoice_id, payment_id, false, -amount_minor,
    date, created_at, payment_id
FROM allocation WHERE amount_minor > 0 AND payment_id IN (SELECT id FROM dispute);
"""


@dataclass
class Sides:
    """The portal and its peers over one database, and the practice in it."""

    askers: Askers
    portal: httpx.AsyncClient
    by_hand: httpx.AsyncClient
    idiomatic: httpx.AsyncClient


@pytest.fixture(scope="module")
async def sides(postgres_url: str) -> AsyncIterator[Sides]:
    async with postgres.database(postgres_url) as url:
        await prepare(url)
        writing = engine(postgres.as_owner(url))
        now = dt.datetime.now(dt.UTC)
        await filling.fill_practice(
            writing, PracticePlan(now.date(), 1, 0, CLIENTS), lambda _: None
        )
        await postgres.execute(url, RARE)
        askers = await practice.askers(writing, KEY, now, CLIENTS)
        await writing.dispose()
        portal = app(Settings(database_url=url, token_key=KEY))
        owning = postgres.as_owner(url)
        by_hand = HandWritten(owning, KEY)
        peer = idiomatic.app(owning, KEY)
        async with (
            portal.router.lifespan_context(portal),
            peer.router.lifespan_context(peer),
            client(portal) as asking_portal,
            client(by_hand) as asking_by_hand,
            client(peer) as asking_peer,
        ):
            yield Sides(askers, asking_portal, asking_by_hand, asking_peer)
        await by_hand.close()


def client(application: Callable[..., Any]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application)
    return httpx.AsyncClient(transport=transport, base_url="http://bench")


async def answered(client: httpx.AsyncClient, asked: Asked) -> httpx.Response:
    # As the bench asks: for an answer that is not compressed.
    headers = {"Authorization": f"Bearer {asked.token}", "Accept-Encoding": "identity"}
    return await client.post("/graphql", json=asked.body, headers=headers)


@pytest.mark.parametrize("operation", NAMES)
async def test_hand_written_endpoint_answers_with_the_same_bytes(
    sides: Sides, operation: str
) -> None:
    for asked in sides.askers.asked()[operation]:
        portal = await answered(sides.portal, asked)
        assert portal.status_code == 200
        assert b'"errors"' not in portal.content
        # For the second request the endpoint remembers the token's viewer.
        for _ in range(2):
            by_hand = await answered(sides.by_hand, asked)
            assert by_hand.status_code == 200
            assert portal.content == by_hand.content
            assert compared_headers(portal) == compared_headers(by_hand)


@pytest.mark.rest
@pytest.mark.parametrize("operation", NAMES)
async def test_idiomatic_peer_answers_with_the_same_values(sides: Sides, operation: str) -> None:
    for asked in sides.askers.asked()[operation]:
        portal = await answered(sides.portal, asked)
        peer = await answered(sides.idiomatic, asked)
        assert portal.status_code == peer.status_code == 200
        assert portal.json() == peer.json()


async def test_clients_see_no_invoice_of_another_client(sides: Sides) -> None:
    own, other, *_ = sides.askers.asked()["node"]
    asked = Asked(own.token, own.operation, own.query, other.variables)
    for side in (sides.portal, sides.by_hand, sides.idiomatic):
        assert (await answered(side, asked)).json() == {"data": {"node": None}}


@pytest.mark.parametrize("operation", NAMES)
async def test_unknown_token_is_refused_by_all(sides: Sides, operation: str) -> None:
    known = sides.askers.asked()[operation][0]
    for token in (f"{known.token[:-1]}!", new_secret(), ""):
        unknown = Asked(token, known.operation, known.query, known.variables)
        for side in (sides.portal, sides.by_hand, sides.idiomatic):
            assert (await answered(side, unknown)).status_code == 401


async def test_measured_billing_pages_have_rows_in_all_lists(sides: Sides) -> None:
    asked = sides.askers.asked()["billing"]
    pages = [(await answered(sides.portal, each)).json()["data"]["client"] for each in asked]
    for connection in ("invoices", "statements", "superbills", "accountHistory"):
        assert any(page[connection]["nodes"] for page in pages), connection
    assert any(page["paymentMethods"] for page in pages)
    assert any(page["invoices"]["pageInfo"]["hasNextPage"] for page in pages)
    statuses = {n["status"] for page in pages for n in page["accountHistory"]["nodes"]}
    assert len(statuses) > 3
