"""Order of facts about cards: the portal keeps Stripe's latest state, however late an answer
arrives and whichever way it came.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import update

from billing.payment_methods import card_comparison, setup_finish, sync
from billing.payment_methods import detach as detach_cards
from billing.payments import daily_comparison
from billing.stripe import Unknown
from models import CardSetup, Detachment, PaymentMethod, Practice, SetupState
from sandbox import methods
from sandbox.api import Fault
from tests.payments.test_paying import authenticate
from tests.support.card_forms import (
    add,
    answer_the_bank,
    events,
    fill_in,
    keep,
    make_default,
    prepare,
    remove,
)
from tests.support.late_answers import late
from tests.support.payments import ACCOUNT, ASKS, DECLINED, Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MASTERCARD = "5555555555554444"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        async with it.engine.begin() as conn:
            await conn.execute(update(Practice).values(clients_remove_cards=True))
        yield it


async def kept(portal: Paying) -> list[Any]:
    return [card for card in await portal.all(PaymentMethod) if card.removed_at is None]


async def found(portal: Paying, setup_id: str) -> Any:
    """Return the row of a form, as it is before the request to Stripe."""
    return await setup_finish.find_setup(portal.payment_context, ACCOUNT, setup_id)


def attached(portal: Paying) -> set[str]:
    found = portal.store.all("payment_method", ACCOUNT)
    return {method["id"] for method in found if method["customer"]}


def renew(portal: Paying, stripe_id: str, year: int) -> None:
    with portal.store.transaction():
        methods.renew(portal.store, ACCOUNT, stripe_id, 7, year)


def detach(portal: Paying, stripe_id: str) -> None:
    with portal.store.transaction():
        methods.detach_method(portal.store, ACCOUNT, stripe_id, {})


async def compare(portal: Paying) -> None:
    """Run the daily comparison a day later, and the detachments that it queued."""
    portal.clock.time += daily_comparison.EVERY
    await daily_comparison.compare_due(portal.payment_context)
    await portal.hears()
    await detach_cards.detach_cards(portal.payment_context)


async def compare_without_events(portal: Paying) -> None:
    """Run the comparison after Stripe has ceased to list the events."""
    portal.clock.time += daily_comparison.EVENTS_KEPT
    await compare(portal)


async def is_settled(portal: Paying) -> bool:
    """Return whether the cards on file are those attached at Stripe."""
    return {card.stripe_id for card in await kept(portal)} == attached(portal)


# -- cards without a fingerprint -------------------------------------------------------------------


async def test_cards_without_a_fingerprint_are_different_cards(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.methods.fingerprint", lambda _: None)
    first = await keep(portal)
    second = await keep(portal, MASTERCARD)
    assert second["wasAlreadyKept"] is False
    assert len(second["client"]["paymentMethods"]) == 2
    await portal.hears_all()
    await detach_cards.detach_cards(portal.payment_context)
    assert len(attached(portal)) == 2
    assert first["paymentMethod"]["id"] != second["paymentMethod"]["id"]
    assert {card.fingerprint for card in await kept(portal)} == {None}


# -- late answers ----------------------------------------------------------------------------------


async def test_older_answer_does_not_overwrite_a_newer_one(portal: Paying) -> None:
    await keep(portal)
    (card,) = await kept(portal)

    async def newer() -> None:
        renew(portal, card.stripe_id, 2036)
        await portal.hears_all()

    await sync.sync_card(late(portal.payment_context, "method", newer), ACCOUNT, card.stripe_id)
    (card,) = await kept(portal)
    assert (card.exp_month, card.exp_year) == (7, 2036)


async def test_answer_outdated_on_every_try_is_left_for_later(portal: Paying) -> None:
    await keep(portal)
    await keep(portal, MASTERCARD)
    first, _ = await kept(portal)

    async def chosen() -> None:
        """Make the other card the default."""
        (other,) = (card for card in await kept(portal) if not card.is_default)
        await make_default(portal, f"crd_{other.id}")

    restless = late(portal.payment_context, "method", chosen, times=50)
    with pytest.raises(Unknown):
        await sync.sync_card(restless, ACCOUNT, first.stripe_id)


async def test_card_detached_before_it_was_written_is_not_kept(portal: Paying) -> None:
    """The form is read from Stripe, then the card is detached and its event comes, then the form's
    card is written.
    """
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id)
    setup = await found(portal, setup_id)

    async def detached() -> None:
        (stripe_id,) = attached(portal)
        detach(portal, stripe_id)
        await portal.hears(*events(portal, "payment_method.detached"))

    await setup_finish.settle_setup(late(portal.payment_context, "setup", detached), setup)
    await portal.hears()
    assert await kept(portal) == []


async def test_saved_card_of_a_late_payment_stays_detached(portal: Paying) -> None:
    """The card was detached at Stripe before the payment was written here."""
    await portal.invoice(1_000)
    paid = await portal.pay(1_000, portal.card(ASKS, saveCard=True))
    assert paid["__typename"] == "PayRequiresAction"
    authenticate(portal, paid["payment"]["id"], succeed=True)
    (stripe_id,) = attached(portal)
    detach(portal, stripe_id)
    await portal.hears(*events(portal, "payment_method.detached"))
    done = await portal.refresh(paid["payment"]["id"])
    assert done["__typename"] == "PaySucceeded"
    await portal.hears()
    assert await kept(portal) == []


async def test_removed_card_stays_removed_after_a_second_answer(
    portal: Paying,
) -> None:
    """Two answers for one form arrive at once.

    The first keeps the card, and the client removes it before the second is written.
    """
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id)
    setup = await found(portal, setup_id)

    async def removed() -> None:
        card = (await add(portal, setup_id))["paymentMethod"]["id"]
        assert (await remove(portal, card))["__typename"] == "CardRemoved"

    await setup_finish.settle_setup(late(portal.payment_context, "setup", removed), setup)
    await portal.hears_all()
    assert await kept(portal) == []


async def test_of_two_copies_the_one_with_the_later_consent_is_kept(portal: Paying) -> None:
    first = (await prepare(portal))["setupIntentId"]
    portal.clock.time += dt.timedelta(minutes=1)
    second = (await prepare(portal))["setupIntentId"]
    fill_in(portal, first, month=1, year=2031)
    fill_in(portal, second, month=2, year=2032)
    newer = (await add(portal, second))["paymentMethod"]
    older = await add(portal, first)
    assert (older["paymentMethod"]["id"], older["wasAlreadyKept"]) == (newer["id"], True)
    assert (older["paymentMethod"]["expMonth"], older["paymentMethod"]["expYear"]) == (2, 2032)
    await detach_cards.detach_cards(portal.payment_context)
    assert await is_settled(portal)


async def test_ended_form_is_not_changed_by_a_late_answer(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    setup = await found(portal, setup_id)
    fill_in(portal, setup_id, DECLINED)
    assert (await add(portal, setup_id))["__typename"] == "CardRefused"
    await setup_finish.end_setup(portal.payment_context, setup, SetupState.CANCELED)
    (row,) = await portal.all(CardSetup)
    assert row.state is SetupState.REFUSED


# -- the daily comparison --------------------------------------------------------------------------


async def test_card_detached_without_an_event_is_found(portal: Paying) -> None:
    await keep(portal)
    await keep(portal, MASTERCARD)
    await portal.hears()
    default = next(card for card in await kept(portal) if card.is_default)
    detach(portal, default.stripe_id)
    await compare_without_events(portal)
    (left,) = await kept(portal)
    assert left.is_default
    assert await is_settled(portal)


async def test_card_renewed_without_an_event_is_found(portal: Paying) -> None:
    await keep(portal)
    await portal.hears()
    (card,) = await kept(portal)
    renew(portal, card.stripe_id, 2037)
    await compare_without_events(portal)
    (card,) = await kept(portal)
    assert card.exp_year == 2037


async def test_card_unknown_to_the_portal_is_detached(portal: Paying) -> None:
    await keep(portal)
    (card,) = await kept(portal)
    strange = attach_strange(portal, card.stripe_id)
    assert strange in attached(portal)
    await compare(portal)
    assert await is_settled(portal)
    assert strange not in attached(portal)


async def test_card_of_an_unfinished_payment_is_not_detached(portal: Paying) -> None:
    await keep(portal)
    (card,) = await kept(portal)
    await portal.invoice(1_000)
    paid = await portal.pay(1_000, portal.card(ASKS, saveCard=True))
    # As if the card of that payment were attached, and the payment not written yet.
    strange = attach_strange(portal, card.stripe_id)
    portal.clock.time += daily_comparison.EVERY
    await daily_comparison.compare_due(portal.payment_context)
    assert await portal.all(Detachment) == []
    portal.bearer = await portal.token()
    await portal.cancel(paid["payment"]["id"])
    await compare(portal)
    assert strange not in attached(portal)


def attach_strange(portal: Paying, like: str) -> str:
    """Attach a card in the dashboard to the customer of another card."""
    with portal.store.transaction():
        customer = portal.store.find(ACCOUNT, "payment_method", like)["customer"]
        given = (MASTERCARD, 12, 2031, "Ana Prieto", "04101")
        method = methods.create_card(portal.store, ACCOUNT, *given)
        methods.attach(portal.store, ACCOUNT, method, customer)
    return str(method["id"])


async def test_card_renewed_to_a_number_on_file_is_detached(portal: Paying) -> None:
    await keep(portal)
    await keep(portal, MASTERCARD)
    first, second = await kept(portal)
    with portal.store.transaction():
        method = portal.store.find(ACCOUNT, "payment_method", first.stripe_id)
        method["card"]["fingerprint"] = second.fingerprint
        portal.store.save(ACCOUNT, method)
    await sync.sync_card(portal.payment_context, ACCOUNT, first.stripe_id)
    await detach_cards.detach_cards(portal.payment_context)
    assert len(await kept(portal)) == 1
    assert await is_settled(portal)


async def test_unfinished_forms_are_compared_at_any_age(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id, ASKS)
    await compare(portal)
    assert await kept(portal) == []
    portal.clock.time += dt.timedelta(days=200)
    # 3-D Secure succeeded in between, and no event arrived.
    answer_the_bank(portal, setup_id, succeed=True)
    await compare(portal)
    assert len(await kept(portal)) == 1


async def test_form_left_empty_is_closed_after_its_lifetime(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    portal.clock.time += card_comparison.FORM_LIFETIME
    await compare(portal)
    (setup,) = await portal.all(CardSetup)
    assert (setup.state, setup.reason) == (SetupState.CANCELED, None)
    assert portal.store.find(ACCOUNT, "setup_intent", setup_id)["status"] == "canceled"
    portal.bearer = await portal.token()
    assert (await add(portal, setup_id))["__typename"] == "InvalidInput"


async def test_error_of_one_client_does_not_stop_the_comparison(portal: Paying) -> None:
    await keep(portal)
    await portal.hears()
    (card,) = await kept(portal)
    setup_id = (await prepare(portal))["setupIntentId"]
    portal.api.faults[:] = [Fault(f"GET setup_intents/{setup_id}", 503, times=50)]
    detach(portal, card.stripe_id)
    await compare_without_events(portal)
    assert await kept(portal) == []
