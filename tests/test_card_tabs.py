"""Fifty tabs at once keep cards and choose a default, over several processes: one default, and no
card twice.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select

from models import CardSetup, Detachment, PaymentMethod
from tests import allowed, postgres
from tests.card_forms import ADD, MAKE_DEFAULT, PREPARE
from tests.conftest import SEED
from tests.demo import Run
from tests.paying import Paying
from tests.processes import double, portals
from tests.specification import held
from tests.test_tabs import data, opened

pytestmark = [pytest.mark.server, pytest.mark.campaign]

PROCESSES, ROUNDS, TABS = 3, 4, 50
NUMBERS = ("4242424242424242", "5555555555554444", "378282246310005", "6011111111111117")


async def test_fifty_tabs_leave_one_default_and_no_card_twice(
    forked: Run, postgres_url: str, tmp_path: Path
) -> None:
    async with postgres.database(postgres_url) as url:
        practice = await opened(url)
        with (
            double(tmp_path) as stripe,
            portals(forked, url, stripe, tmp_path, PROCESSES) as addresses,
        ):
            limits = httpx.Limits(max_connections=TABS, max_keepalive_connections=0)
            async with httpx.AsyncClient(timeout=60, limits=limits) as http:
                chance = random.Random(SEED)
                for round_ in range(ROUNDS):
                    tabs = [
                        tab(practice, http, stripe, addresses, random.Random(chance.random()))
                        for _ in range(TABS)
                    ]
                    names = Counter(name for came in await asyncio.gather(*tabs) for name in came)
                    assert set(names) <= {"CardAdded", "DefaultMade"}, (round_, names)
                    await judge(practice)
                    await empty(practice)
                state = (await http.get(f"{stripe}/controls/state")).json()
                allowed.hold(state["journal"])
                held.hold(state["journal"], state["event"])
        await practice.engine.dispose()


async def tab(
    practice: Paying, http: httpx.AsyncClient, stripe: str, addresses: list[str], chance: Any
) -> list[str]:
    """Keeps a card, perhaps as the default, or twice, and perhaps makes it that afterwards."""

    async def ask(field: str, query: str, input: dict[str, Any]) -> dict[str, Any]:
        body = {"query": query, "variables": {"i": input}}
        answer = await data(practice, http, chance.choice(addresses), body)
        found: dict[str, Any] = answer[field]
        return found

    prepared = await ask("prepareCard", PREPARE, {})
    await fill_in(http, stripe, prepared["clientSecret"], chance.choice(NUMBERS))
    input = {"setupIntentId": prepared["setupIntentId"], "makeDefault": chance.random() < 0.5}
    sent = [ask("addCard", ADD, input) for _ in range(chance.choice([1, 1, 2]))]
    came = await asyncio.gather(*sent)
    if chance.random() < 0.5:
        card_id = came[0]["paymentMethod"]["id"]
        came.append(await ask("makeDefault", MAKE_DEFAULT, {"paymentMethodId": card_id}))
    return [one["__typename"] for one in came]


async def fill_in(http: httpx.AsyncClient, stripe: str, secret: str, number: str) -> None:
    card = {"number": number, "expMonth": 12, "expYear": 2031, "name": "Ana Prieto", "zip": "04101"}
    form = card | {"clientSecret": secret}
    made = await http.post(f"{stripe}/sandbox/setup_intents/confirm", json=form)
    assert made.json()["status"] == "succeeded", made.text


async def judge(practice: Paying) -> None:
    """By plain rows alone."""
    async with practice.engine.connect() as rows:
        cards = (await rows.execute(select(PaymentMethod.__table__))).all()
        setups = (await rows.execute(select(CardSetup.__table__))).all()
        left = set(await rows.scalars(select(Detachment.stripe_id)))
    kept = [card for card in cards if card.removed_at is None]
    assert sum(card.is_default for card in kept) == 1
    assert len({card.fingerprint for card in kept}) == len(kept) == len(NUMBERS)
    assert {setup.state for setup in setups} == {"KEPT"}
    # Each copy that isn't used is one that Stripe is to forget.
    assert len(left) == TABS - len(kept)
    assert left.isdisjoint(card.stripe_id for card in kept)


async def empty(practice: Paying) -> None:
    """The next round begins without a card."""
    async with practice.engine.begin() as rows:
        for table in (CardSetup, Detachment, PaymentMethod):
            await rows.execute(delete(table))
