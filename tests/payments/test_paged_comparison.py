"""The daily comparison with Stripe beyond the first page of each of its lists."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from billing.payment_methods import card_comparison
from billing.stripe import lists as stripe_lists
from identity.tokens import Subject
from sandbox import reversals
from tests.payments.test_card_facts import compare_without_events, kept, renew
from tests.support.card_forms import keep
from tests.support.payments import ACCOUNT, Paying, paying
from tests.support.reversals import at_stripe, paid, refunded_there

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MASTERCARD = "5555555555554444"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def test_cards_of_all_pages_of_clients_are_compared(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card_comparison, "PAGE_SIZE", 1)
    await keep(portal)
    portal.bearer = await portal.token(Subject(portal.practice_id, client_id=portal.other_id))
    await keep(portal)
    await portal.hears_all()
    cards = await kept(portal)
    assert len({card.client_id for card in cards}) == 2
    for card in cards:
        renew(portal, card.stripe_id, 2036)
    await compare_without_events(portal)
    assert [card.exp_year for card in await kept(portal)] == [2036, 2036]


async def test_each_of_stripes_lists_is_read_to_its_last_page(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = portal.clock()
    for number in ("4242424242424242", MASTERCARD):
        await keep(portal, number)
    for _ in range(2):
        _, intent = await paid(portal, 3_000)
        refunded_there(portal, intent, 1_000)
        at_stripe(portal, reversals.open_dispute, intent)
    customer = portal.store.all("customer")[0]["id"]
    stripe = portal.payment_context.stripe

    async def lists() -> list[list[Any]]:
        return [
            await stripe.intents(ACCOUNT, since),
            await stripe.setups(ACCOUNT, since),
            await stripe.cards(ACCOUNT, customer),
            await stripe.refunds(ACCOUNT, since=since),
            await stripe.disputes(ACCOUNT, since=since),
            await stripe.events(ACCOUNT, since),
        ]

    by_one = await lists()
    assert all(len(objects) >= 2 for objects in by_one)
    monkeypatch.setattr(stripe_lists, "PAGE_SIZE", 1)
    assert await lists() == by_one
