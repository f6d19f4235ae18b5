"""What the gateway relies on, of the double and, where STRIPE_TEST_KEY is set, of Stripe itself."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from billing.gateway import Declined, Missing, Order, Rejected, Stripe, Unknown
from billing.gateway.objects import IntentStatus
from billing.payments import OWN
from models import DeclineReason
from models.ids import new_id
from sandbox.api import Api
from sandbox.app import app
from sandbox.pages import token as new_token
from sandbox.store import PAGE, Store
from tests.paying import ASKS, DECLINED, GOOD

KEY = os.environ.get("STRIPE_TEST_KEY")
# Stripe's own test helper makes tokens of these.
METHODS = {
    GOOD: "pm_card_visa",
    DECLINED: "pm_card_visa_chargeDeclined",
    ASKS: "pm_card_authenticationRequired",
}


@dataclass
class Remote:
    """Stripe, and how a page's token is made there."""

    stripe: Stripe
    store: Store | None

    async def token(self, number: str) -> str:
        if self.store is not None:
            card = {"expMonth": 12, "expYear": 2031, "name": "Ana Prieto", "zip": "04101"}
            with self.store.transaction():
                return new_token(self.store, PAGE, {"number": number, **card})
        billing = {"name": "Ana Prieto", "address": {"postal_code": "04101"}}
        params: Any = {
            "payment_method": METHODS[number],
            "payment_method_data": {"type": "card", "billing_details": billing},
        }
        made = await self.stripe.api.test_helpers.confirmation_tokens.create_async(params)
        return str(made.id)


@pytest.fixture(
    params=[
        "double",
        pytest.param(
            "stripe", marks=pytest.mark.skipif(KEY is None, reason="no STRIPE_TEST_KEY is set")
        ),
    ]
)
async def remote(request: pytest.FixtureRequest) -> AsyncIterator[Remote]:
    if request.param == "stripe":
        assert KEY is not None
        made = Remote(Stripe(KEY), None)
    else:
        store = Store(":memory:")
        transport = httpx.ASGITransport(app(store, Api(store)))
        made = Remote(Stripe("sk_test_double", base="http://stripe", transport=transport), store)
    yield made
    await made.stripe.close()
    if made.store is not None:
        made.store.close()


def order(**facts: Any) -> Order:
    return replace(Order(new_id(), new_id(), OWN, 10_000, "USD", None, False), **facts)


async def test_an_intent_is_created_once_under_its_key(remote: Remote) -> None:
    wanted = order()
    first, again = await remote.stripe.create(wanted), await remote.stripe.create(wanted)
    assert first == again
    assert (first.status, first.received_minor) == (IntentStatus.REQUIRES_PAYMENT_METHOD, 0)


async def test_another_amount_under_the_same_key_is_no_answer(remote: Remote) -> None:
    wanted = order()
    await remote.stripe.create(wanted)
    with pytest.raises(Unknown):
        await remote.stripe.create(replace(wanted, amount_minor=20_000))


async def test_a_confirmed_intent_has_moved_the_money_once(remote: Remote) -> None:
    wanted, token = order(), await remote.token(GOOD)
    made = await remote.stripe.create(wanted)
    paid = await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=token)
    assert (paid.status, paid.received_minor) == (IntentStatus.SUCCEEDED, 10_000)
    assert paid.card is not None
    assert (paid.card.last4, paid.card.name) == ("4242", "Ana Prieto")
    again = await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=token)
    assert again.received_minor == 10_000
    with pytest.raises(Rejected):
        await remote.stripe.cancel(OWN, made.id)


async def test_a_declined_card_is_declined_and_told_by_the_intent(remote: Remote) -> None:
    wanted = order()
    made = await remote.stripe.create(wanted)
    with pytest.raises(Declined):
        await remote.stripe.confirm(
            wanted.payment_id, OWN, made.id, token=await remote.token(DECLINED)
        )
    now = await remote.stripe.intent(OWN, made.id)
    assert (now.status, now.decline) == (
        IntentStatus.REQUIRES_PAYMENT_METHOD,
        DeclineReason.GENERIC,
    )


async def test_a_cancelled_intent_can_not_be_confirmed(remote: Remote) -> None:
    wanted = order()
    made = await remote.stripe.create(wanted)
    assert (await remote.stripe.cancel(OWN, made.id)).status is IntentStatus.CANCELED
    with pytest.raises(Rejected):
        await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=await remote.token(GOOD))


async def test_three_d_secure_waits_for_the_cardholder(remote: Remote) -> None:
    wanted = order()
    made = await remote.stripe.create(wanted)
    token = await remote.token(ASKS)
    waits = await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=token)
    assert waits.status is IntentStatus.REQUIRES_ACTION
    assert waits.client_secret.startswith(made.id)


async def test_a_token_tells_its_card_and_works_once(remote: Remote) -> None:
    token = await remote.token(GOOD)
    card = await remote.stripe.token(OWN, token)
    assert (card.last4, card.name, card.zip) == ("4242", "Ana Prieto", "04101")
    first, second = order(), order()
    made = [await remote.stripe.create(one) for one in (first, second)]
    await remote.stripe.confirm(first.payment_id, OWN, made[0].id, token=token)
    with pytest.raises(Rejected):
        await remote.stripe.confirm(second.payment_id, OWN, made[1].id, token=token)


async def test_a_saved_card_pays_for_its_customer(remote: Remote) -> None:
    client = new_id()
    customer = await remote.stripe.customer(OWN, new_id(), client)
    wanted = order(customer=customer, save_card=True)
    made = await remote.stripe.create(wanted)
    token = await remote.token(GOOD)
    saved = (await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=token)).card
    assert saved is not None
    again = order(customer=customer)
    made = await remote.stripe.create(again)
    method = saved.stripe_id
    paid = await remote.stripe.confirm(again.payment_id, OWN, made.id, method=method)
    assert paid.status is IntentStatus.SUCCEEDED


async def test_what_is_not_there_is_missing(remote: Remote) -> None:
    with pytest.raises(Missing):
        await remote.stripe.intent(OWN, "pi_000000000000000000000000")
    with pytest.raises(Rejected):
        await remote.stripe.token(OWN, "ctoken_000000000000000000000000")


async def test_a_live_key_has_no_business_in_the_double() -> None:
    store = Store(":memory:")
    transport = httpx.ASGITransport(app(store))
    stripe = Stripe("sk_live_x", base="http://stripe", transport=transport)
    with pytest.raises(Rejected):
        await stripe.verify()
    await stripe.close()
    store.close()
