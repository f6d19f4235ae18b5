"""Cards and customers belong to one Stripe account, and are requested there only."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import make_url, update

from billing.payment_methods import detach
from billing.payments import daily_comparison
from models import CardSetup, Detachment, PaymentMethod, Practice, SetupState, StripeCustomer
from sandbox import customers, methods
from sandbox.api import Fault
from server.cli.client_erasure import erase
from server.settings import Settings
from tests.support import postgres
from tests.support.card_forms import add, fill_in, keep, prepare, remove
from tests.support.leases import run_out
from tests.support.payments import ACCOUNT, Paying, paying
from tests.support.portal import KEY

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
OTHER = ACCOUNT + "other"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        async with it.engine.begin() as conn:
            await conn.execute(update(Practice).values(clients_remove_cards=True))
        yield it
        assert {sent["account"] for sent in it.store.journal()} <= {ACCOUNT, OTHER}


async def switch(portal: Paying, account: str | None) -> None:
    """Give the practice another account at Stripe, or none."""
    async with portal.engine.begin() as conn:
        await conn.execute(update(Practice).values(stripe_account=account))


async def kept(portal: Paying) -> list[Any]:
    return [card for card in await portal.all(PaymentMethod) if card.removed_at is None]


async def shown(portal: Paying) -> list[str]:
    """Return the ids of the cards that the client has on file."""
    query = f'query {{ client(id: "cli_{portal.client_id}") {{ paymentMethods {{ id }} }} }}'
    answer = (await portal.ask(query, portal.bearer)).json()
    return [card["id"] for card in answer["data"]["client"]["paymentMethods"]]


def attached(portal: Paying, account: str = ACCOUNT) -> list[str]:
    found = portal.store.all("payment_method", account)
    return [method["id"] for method in found if method["customer"]]


async def current_customers(portal: Paying) -> list[Any]:
    return [row for row in await portal.all(StripeCustomer) if row.deleted_at is None]


# -- another account -------------------------------------------------------------------------------


async def test_card_of_another_account_is_hidden_and_does_not_pay(portal: Paying) -> None:
    card = (await keep(portal))["paymentMethod"]["id"]
    await switch(portal, OTHER)
    assert await shown(portal) == []
    await portal.invoice(1_000)
    assert (await portal.pay(1_000, {"paymentMethodId": card}))["__typename"] == "NotFound"
    assert (await remove(portal, card))["__typename"] == "NotFound"
    # The card is kept, since the change of account may have been a mistake.
    await switch(portal, ACCOUNT)
    assert await shown(portal) == [card]
    assert (await portal.pay(1_000, {"paymentMethodId": card}))["__typename"] == "PaySucceeded"


async def test_same_card_is_kept_once_in_each_account(portal: Paying) -> None:
    first = (await keep(portal))["paymentMethod"]
    await switch(portal, OTHER)
    second = await keep(portal)
    assert second["wasAlreadyKept"] is False
    assert (second["paymentMethod"]["isDefault"], first["isDefault"]) == (True, True)
    assert await shown(portal) == [second["paymentMethod"]["id"]]
    rows = await current_customers(portal)
    assert sorted(row.stripe_account for row in rows) == [ACCOUNT, OTHER]
    # Neither copy is detached, as each account has one.
    assert await detach.detach_cards(portal.payment_context) == 0
    assert (len(attached(portal)), len(attached(portal, OTHER))) == (1, 1)


async def test_form_of_a_former_account_is_settled_there(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id)
    await switch(portal, OTHER)
    assert (await add(portal, setup_id))["__typename"] == "NotFound"
    await portal.hears_all()
    (setup,) = await portal.all(CardSetup)
    (card,) = await kept(portal)
    assert (setup.state, card.stripe_account) == (SetupState.KEPT, ACCOUNT)


async def test_card_is_detached_in_its_own_account(portal: Paying) -> None:
    card = (await keep(portal))["paymentMethod"]["id"]
    assert (await remove(portal, card))["__typename"] == "CardRemoved"
    await switch(portal, OTHER)
    await detach.detach_cards(portal.payment_context)
    assert attached(portal) == []


async def test_card_is_removable_while_online_payments_are_off(portal: Paying) -> None:
    card = (await keep(portal))["paymentMethod"]["id"]
    await switch(portal, None)
    assert await shown(portal) == [card]
    assert (await remove(portal, card))["__typename"] == "CardRemoved"
    await detach.detach_cards(portal.payment_context)
    assert attached(portal) == []
    (done,) = await portal.all(Detachment)
    assert done.done_at is not None


async def test_card_detached_in_a_former_account_is_removed(portal: Paying) -> None:
    await keep(portal)
    (card,) = await kept(portal)
    await switch(portal, OTHER)
    with portal.store.transaction():
        methods.detach_method(portal.store, ACCOUNT, card.stripe_id, {})
    await portal.hears_all()
    assert await kept(portal) == []


# -- customers that Stripe deleted -----------------------------------------------------------------


def delete_customer(portal: Paying, *, with_cards: bool = True) -> str:
    """Delete the client's customer in the dashboard.

    Without `with_cards`, its cards still refer to it.
    """
    found = portal.store.all("customer", ACCOUNT)
    customer = next(one for one in reversed(found) if not one.get("deleted"))["id"]
    with portal.store.transaction():
        if with_cards:
            customers.delete(portal.store, ACCOUNT, customer)
        else:
            gone = {"id": customer, "object": "customer", "deleted": True}
            portal.store.save(ACCOUNT, gone)
    return str(customer)


async def test_deleted_customer_is_replaced_when_a_form_is_requested(portal: Paying) -> None:
    await keep(portal)
    for number in range(2):
        deleted = delete_customer(portal)
        again = await keep(portal)
        assert again["__typename"] == "CardAdded"
        (row,) = await current_customers(portal)
        assert row.stripe_id != deleted
        assert len(await portal.all(StripeCustomer)) == number + 2
        assert len(again["client"]["paymentMethods"]) == 1


@pytest.mark.parametrize("with_cards", [True, False])
@pytest.mark.parametrize("by", ["event", "comparison", "form"])
async def test_cards_of_a_deleted_customer_are_removed(
    portal: Paying, by: str, with_cards: bool
) -> None:
    await keep(portal)
    await portal.hears()
    deleted = delete_customer(portal, with_cards=with_cards)
    if by == "event" and with_cards:
        await portal.hears_all()
    elif by == "form":
        assert (await prepare(portal))["__typename"] == "CardPrepared"
    else:
        portal.clock.time += daily_comparison.EVERY
        await daily_comparison.compare_due(portal.payment_context)
    await portal.hears()
    assert await kept(portal) == []
    assert deleted not in [row.stripe_id for row in await current_customers(portal)]
    await detach.detach_cards(portal.payment_context)
    # A deleted customer has no cards, so no detachment stays pending.
    assert all(one.done_at for one in await portal.all(Detachment))


# -- detachments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
async def test_denied_api_key_does_not_count_as_detached(portal: Paying, status: int) -> None:
    await remove(portal, (await keep(portal))["paymentMethod"]["id"])
    portal.api.faults[:] = [Fault("payment_methods", status, times=50)]
    for _ in range(3):
        await detach.detach_cards(portal.payment_context)
        portal.clock.time += dt.timedelta(seconds=60)
        await run_out(portal.engine)
    (waiting,) = await portal.all(Detachment)
    assert waiting.done_at is None
    assert waiting.trouble
    assert len(attached(portal)) == 1
    portal.api.faults.clear()
    portal.clock.time += detach.AFTER_REFUSAL
    await detach.detach_cards(portal.payment_context)
    (done,) = await portal.all(Detachment)
    assert (done.done_at is None, done.trouble) == (False, None)
    assert attached(portal) == []


async def test_detachment_of_a_detached_card_is_done(portal: Paying) -> None:
    await remove(portal, (await keep(portal))["paymentMethod"]["id"])
    (waiting,) = await portal.all(Detachment)
    with portal.store.transaction():
        methods.detach_method(portal.store, ACCOUNT, waiting.stripe_id, {})
    await detach.detach_cards(portal.payment_context)
    (done,) = await portal.all(Detachment)
    assert done.done_at is not None


async def test_detachment_of_a_card_unknown_to_stripe_is_done(portal: Paying) -> None:
    await remove(portal, (await keep(portal))["paymentMethod"]["id"])
    async with portal.engine.begin() as conn:
        await conn.execute(update(Detachment).values(stripe_id="pm_never"))
    await detach.detach_cards(portal.payment_context)
    (done,) = await portal.all(Detachment)
    assert done.done_at is not None


async def test_erased_clients_customer_is_deleted_once_stripe_answers(portal: Paying) -> None:
    await keep(portal)
    is_owned = make_url(portal.url).get_backend_name() == "postgresql"
    owner = postgres.as_owner(portal.url) if is_owned else None
    settings = Settings(database_url=portal.url, database_owner_url=owner, token_key=KEY)
    await erase(settings, portal.client_id, "asked", ["retention"])
    (customer,) = await portal.all(StripeCustomer)
    assert not portal.store.find(ACCOUNT, "customer", customer.stripe_id).get("deleted")
    portal.api.faults.append(Fault("customers", 401))
    await detach.detach_cards(portal.payment_context)
    (waiting,) = await portal.all(Detachment)
    assert (waiting.is_customer, waiting.done_at) == (True, None)
    await run_out(portal.engine)
    portal.clock.time += detach.AFTER_REFUSAL
    await detach.detach_cards(portal.payment_context)
    (done,) = await portal.all(Detachment)
    assert done.done_at is not None
    assert portal.store.find(ACCOUNT, "customer", customer.stripe_id).get("deleted")
    assert await current_customers(portal) == []
    # Events about the deletion bring nothing back.
    await portal.hears_all()
    await detach.detach_cards(portal.payment_context)
    assert await portal.all(Detachment) == [done]
    assert [card.cardholder_name for card in await portal.all(PaymentMethod)] == [None]
