"""Fifty tabs of ten clients keep cards and choose a default at once, over several processes.

Each client ends with one default, no card twice, and few open forms.
"""

import asyncio
import copy
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select

from billing.payment_methods.setup_start import OPEN_FORMS
from identity.tokens import Subject
from models import CardSetup, Client, Detachment, PaymentMethod, SetupState
from models.ids import new_id
from tests.conftest import SEED
from tests.payments.test_tabs import data, opened
from tests.support import postgres, shares, stripe_allowlist
from tests.support.card_forms import ADD, MAKE_DEFAULT, PREPARE
from tests.support.demo_server import Run
from tests.support.payments import Paying
from tests.support.processes import double, portals

pytestmark = [pytest.mark.server, pytest.mark.campaign]

PROCESSES, ROUNDS, CLIENTS, TABS = 3, shares.number(4, quick=1), 10, 5
NUMBERS = ("4242424242424242", "5555555555554444", "378282246310005", "6011111111111117")
# Newer forms of the same client close older ones.
LOSERS = {"TooManyAttempts", "InvalidInput"}


@pytest.mark.rest
async def test_fifty_tabs_leave_one_default_and_no_card_twice(
    forked: Run, postgres_url: str, tmp_path: Path
) -> None:
    async with postgres.database(postgres_url) as url:
        practice = await opened(url)
        clients = [await client(practice, number) for number in range(CLIENTS)]
        with (
            double(tmp_path) as stripe,
            portals(forked, url, stripe, tmp_path, PROCESSES) as addresses,
        ):
            limits = httpx.Limits(max_connections=CLIENTS * TABS, max_keepalive_connections=0)
            async with httpx.AsyncClient(timeout=60, limits=limits) as http:
                chance, before = random.Random(SEED), set[str]()
                for round_ in range(ROUNDS):
                    tabs = [
                        tab(one, http, stripe, addresses, random.Random(chance.random()))
                        for one in clients
                        for _ in range(TABS)
                    ]
                    names = Counter(name for came in await asyncio.gather(*tabs) for name in came)
                    assert set(names) <= {"CardAdded", "DefaultMade", *LOSERS}, (round_, names)
                    assert names["CardAdded"] >= CLIENTS, (round_, names)
                    state = (await http.get(f"{stripe}/controls/state")).json()
                    methods = {one["id"] for one in state["payment_method"] if one["customer"]}
                    await judge(practice, methods - before)
                    await empty(practice)
                    before |= methods
                stripe_allowlist.hold(state["journal"])
        await practice.engine.dispose()


async def client(practice: Paying, number: int) -> Paying:
    """Add a client, and return a portal that sends requests with its token."""
    client_id = new_id()
    own = {"practice_id": practice.practice_id, "id": client_id, "created_at": practice.clock()}
    await practice.insert(Client, own | {"name": f"Client {number}"})
    one = copy.copy(practice)
    one.client_id = client_id
    one.bearer = await practice.token(Subject(practice.practice_id, client_id=client_id))
    return one


async def tab(
    practice: Paying, http: httpx.AsyncClient, stripe: str, addresses: list[str], chance: Any
) -> list[str]:
    """Keep a card, at random as the default or twice, and at random make it the default
    afterwards.
    """

    async def ask(field: str, query: str, input: dict[str, Any]) -> dict[str, Any]:
        body = {"query": query, "variables": {"i": input}}
        answer = await data(practice, http, chance.choice(addresses), body)
        found: dict[str, Any] = answer[field]
        return found

    prepared = await ask("prepareCard", PREPARE, {})
    if prepared["__typename"] != "CardPrepared":
        return [prepared["__typename"]]
    is_kept = await fill_in(http, stripe, prepared["clientSecret"], chance.choice(NUMBERS))
    input = {"setupIntentId": prepared["setupIntentId"], "makeDefault": chance.random() < 0.5}
    sent = [ask("addCard", ADD, input) for _ in range(chance.choice([1, 1, 2]))]
    came = await asyncio.gather(*sent)
    assert {one["__typename"] for one in came} == {"CardAdded" if is_kept else "InvalidInput"}
    if is_kept and chance.random() < 0.5:
        card_id = came[0]["paymentMethod"]["id"]
        came.append(await ask("makeDefault", MAKE_DEFAULT, {"paymentMethodId": card_id}))
    return [one["__typename"] for one in came]


async def fill_in(http: httpx.AsyncClient, stripe: str, secret: str, number: str) -> bool:
    """Confirm the form, and return whether the card is kept. The form may be closed by then."""
    card = {"number": number, "expMonth": 12, "expYear": 2031, "name": "Ana Prieto", "zip": "04101"}
    form = card | {"clientSecret": secret}
    made = (await http.post(f"{stripe}/sandbox/setup_intents/confirm", json=form)).json()
    return bool(made.get("status") == "succeeded")


async def judge(practice: Paying, attached: set[str]) -> None:
    """Compare the rows with the cards attached at Stripe in this round."""
    async with practice.engine.connect() as conn:
        cards = (await conn.execute(select(PaymentMethod.__table__))).all()
        setups = (await conn.execute(select(CardSetup.__table__))).all()
        left = {row.stripe_id for row in await conn.execute(select(Detachment.__table__))}
    for client_id in {card.client_id for card in cards}:
        mine = [card for card in cards if card.client_id == client_id and not card.removed_at]
        assert sum(card.is_default for card in mine) == 1
        assert len({card.fingerprint for card in mine}) == len(mine)
    states = Counter((setup.client_id, setup.state) for setup in setups)
    assert {state for _, state in states} <= {
        SetupState.KEPT,
        SetupState.CANCELED,
        SetupState.PREPARED,
    }
    for (_, state), count in states.items():
        assert state is not SetupState.PREPARED or count <= OPEN_FORMS
    # Each unused copy waits for its detachment.
    assert attached - left == {card.stripe_id for card in cards if not card.removed_at}


async def empty(practice: Paying) -> None:
    """Delete the cards, so that the next round begins without any."""
    async with practice.engine.begin() as conn:
        for table in (CardSetup, Detachment, PaymentMethod):
            await conn.execute(delete(table))
