"""Cards on file: kept once, one default, removal if the practice allows it, and changes
at Stripe.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import update

from billing.payment_methods import detach
from billing.payments import daily_comparison
from identity.tokens import Subject
from models import CardSetup, Client, Detachment, PaymentMethod, Practice, SetupState
from models.ids import new_id
from sandbox import methods
from sandbox.api import Fault
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
from tests.support.leases import run_out
from tests.support.payments import ACCOUNT, ASKS, DECLINED, GOOD, Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MASTERCARD, AMEX = "5555555555554444", "378282246310005"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def allow_removal(portal: Paying) -> None:
    async with portal.engine.begin() as conn:
        await conn.execute(update(Practice).values(clients_remove_cards=True))


async def kept(portal: Paying) -> list[Any]:
    return [card for card in await portal.all(PaymentMethod) if card.removed_at is None]


# -- keeping ---------------------------------------------------------------------------------------


async def test_first_card_is_the_default(portal: Paying) -> None:
    prepared = await prepare(portal)
    assert prepared["publishableKey"]
    assert fill_in(portal, prepared["setupIntentId"]) == "succeeded"
    added = await add(portal, prepared["setupIntentId"])
    assert (added["__typename"], added["wasAlreadyKept"]) == ("CardAdded", False)
    card = added["paymentMethod"]
    assert (card["last4"], card["isDefault"], card["billingZip"]) == ("4242", True, "04101")
    assert added["client"]["defaultPaymentMethod"] == {"id": card["id"]}
    (row,) = await kept(portal)
    assert row.consent_version
    assert row.consented_at == portal.clock()


async def test_second_card_is_the_default_only_on_request(portal: Paying) -> None:
    first = (await keep(portal))["paymentMethod"]["id"]
    second = await keep(portal, MASTERCARD)
    assert second["client"]["defaultPaymentMethod"] == {"id": first}
    third = await keep(portal, AMEX, makeDefault=True)
    assert third["client"]["defaultPaymentMethod"] == {"id": third["paymentMethod"]["id"]}
    assert [card["isDefault"] for card in third["client"]["paymentMethods"]].count(True) == 1


async def test_same_card_twice_is_updated(portal: Paying) -> None:
    first = await keep(portal)
    again = await keep(portal, month=3, year=2035, zip_="94107")
    assert again["wasAlreadyKept"] is True
    card = again["paymentMethod"]
    assert card["id"] == first["paymentMethod"]["id"]
    assert (card["expMonth"], card["expYear"], card["billingZip"]) == (3, 2035, "94107")
    assert len(again["client"]["paymentMethods"]) == 1
    # The unused copy is detached at Stripe.
    assert await detach.detach_cards(portal.payment_context) == 1
    attached = [one["id"] for one in portal.store.all("payment_method") if one["customer"]]
    (row,) = await kept(portal)
    assert attached == [row.stripe_id]


async def test_repeated_mutation_has_the_same_result(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id)
    assert await add(portal, setup_id) == await add(portal, setup_id)
    assert len(await kept(portal)) == 1


async def test_declined_card_is_refused_and_its_form_is_closed(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    assert fill_in(portal, setup_id, "4000000000009987") == "declined"
    refused = await add(portal, setup_id)
    assert (refused["__typename"], refused["code"]) == ("CardRefused", "CARD_REFUSED")
    # The reason `lost_card` is not shown.
    assert refused["reason"] == "GENERIC"
    assert fill_in(portal, setup_id) == "declined"
    assert (await add(portal, setup_id))["__typename"] == "CardRefused"
    assert await kept(portal) == []


@pytest.mark.parametrize("succeed", [True, False])
async def test_card_that_needs_authentication_is_kept_after_it(
    portal: Paying, succeed: bool
) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    assert fill_in(portal, setup_id, ASKS) == "requires_action"
    waits = await add(portal, setup_id)
    assert (waits["__typename"], waits["path"]) == ("InvalidInput", ["input", "setupIntentId"])
    answer_the_bank(portal, setup_id, succeed=succeed)
    done = await add(portal, setup_id)
    assert done["__typename"] == ("CardAdded" if succeed else "CardRefused")
    assert len(await kept(portal)) == int(succeed)
    assert succeed or done["reason"] == "AUTHENTICATION_FAILED"


async def test_card_of_a_closed_page_is_kept_by_the_webhook(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id)
    await portal.hears_all()
    (card,) = await kept(portal)
    assert card.is_default
    # The page sends its mutation after all.
    added = await add(portal, setup_id, makeDefault=True)
    assert (added["paymentMethod"]["id"], added["wasAlreadyKept"]) == (f"crd_{card.id}", False)


async def test_card_of_a_closed_page_is_kept_by_the_daily_comparison(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id)
    assert await daily_comparison.compare_due(portal.payment_context) == 1
    assert len(await kept(portal)) == 1
    assert await daily_comparison.compare_due(portal.payment_context) == 0
    portal.clock.time += dt.timedelta(hours=25)
    assert await daily_comparison.compare_due(portal.payment_context) == 1


async def test_declines_of_forms_count_as_attempts(portal: Paying) -> None:
    for _ in range(5):
        setup_id = (await prepare(portal))["setupIntentId"]
        fill_in(portal, setup_id, DECLINED)
    # The webhook reports declines that no page asks for.
    await portal.hears_all()
    assert {setup.state for setup in await portal.all(CardSetup)} == {SetupState.REFUSED}
    refused = await prepare(portal)
    assert refused["__typename"] == "TooManyAttempts"
    await portal.invoice(1_000)
    assert (await portal.pay(1_000, portal.card()))["__typename"] == "TooManyAttempts"
    portal.clock.time += dt.timedelta(minutes=61)
    portal.bearer = await portal.token()
    assert (await prepare(portal))["__typename"] == "CardPrepared"


async def test_form_of_another_client_is_not_found(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id)
    stranger = new_id()
    own = {"practice_id": portal.practice_id, "id": stranger, "created_at": portal.clock()}
    await portal.insert(Client, own | {"name": "Cleo Vance"})
    token = await portal.token(Subject(portal.practice_id, client_id=stranger))
    assert (await add(portal, setup_id, token))["__typename"] == "NotFound"
    assert await kept(portal) == []


async def test_ids_of_other_objects_are_refused_as_forms(portal: Paying) -> None:
    wrong = await add(portal, "pi_1234567890")
    assert (wrong["__typename"], wrong["path"]) == ("InvalidInput", ["input", "setupIntentId"])
    assert (await add(portal, "seti_1234567890"))["__typename"] == "NotFound"


async def test_no_card_is_added_while_online_payments_are_off(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    async with portal.engine.begin() as conn:
        await conn.execute(update(Practice).values(stripe_account=None))
    assert (await prepare(portal))["__typename"] == "OnlinePaymentsOff"
    assert (await add(portal, setup_id))["__typename"] == "OnlinePaymentsOff"


async def test_stripe_out_of_reach_is_reported_as_unavailable(portal: Paying) -> None:
    portal.api.faults.append(Fault("setup_intents", 503, times=4))
    query = "mutation { prepareCard(input: {}) { __typename } }"
    answer = (await portal.ask(query, portal.bearer)).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert (await prepare(portal))["__typename"] == "CardPrepared"


# -- default and removal ---------------------------------------------------------------------------


async def test_another_card_is_made_the_default(portal: Paying) -> None:
    first = (await keep(portal))["paymentMethod"]["id"]
    second = (await keep(portal, MASTERCARD))["paymentMethod"]["id"]
    made = await make_default(portal, second)
    assert (made["__typename"], made["paymentMethod"]["isDefault"]) == ("DefaultMade", True)
    assert made["client"]["defaultPaymentMethod"] == {"id": second}
    assert (await make_default(portal, first))["client"]["defaultPaymentMethod"] == {"id": first}


async def test_expired_card_can_not_be_made_the_default(portal: Paying) -> None:
    await keep(portal)
    old = (await keep(portal, MASTERCARD, month=1, year=2031))["paymentMethod"]["id"]
    portal.clock.time = dt.datetime(2031, 2, 2, tzinfo=dt.UTC)
    portal.bearer = await portal.token()
    assert (await make_default(portal, old))["__typename"] == "CardUnusable"


async def test_card_is_removed_only_if_the_practice_allows_it(portal: Paying) -> None:
    card = (await keep(portal))["paymentMethod"]["id"]
    assert (await remove(portal, card))["__typename"] == "CardRemovalOff"
    await allow_removal(portal)
    removed = await remove(portal, card)
    assert removed["__typename"] == "CardRemoved"
    assert removed["client"] == {"paymentMethods": [], "defaultPaymentMethod": None}
    assert await detach.detach_cards(portal.payment_context) == 1
    assert [one for one in portal.store.all("payment_method") if one["customer"]] == []
    assert (await remove(portal, card))["__typename"] == "NotFound"


async def test_removal_of_the_default_needs_a_replacement(portal: Paying) -> None:
    await allow_removal(portal)
    first = (await keep(portal))["paymentMethod"]["id"]
    second = (await keep(portal, MASTERCARD))["paymentMethod"]["id"]
    needed = await remove(portal, first)
    assert (needed["__typename"], needed["code"]) == ("ReplacementNeeded", "REPLACEMENT_NEEDED")
    assert (await remove(portal, first, replacementId=first))["__typename"] == "NotFound"
    done = await remove(portal, first, replacementId=second)
    assert done["client"]["defaultPaymentMethod"] == {"id": second}
    # The last card needs no replacement.
    assert (await remove(portal, second))["__typename"] == "CardRemoved"


async def test_removed_card_can_be_kept_again(portal: Paying) -> None:
    await allow_removal(portal)
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id)
    first = (await add(portal, setup_id))["paymentMethod"]["id"]
    await remove(portal, first)
    # The old form does not bring the card back; a new form does.
    assert (await add(portal, setup_id))["__typename"] == "NotFound"
    again = await keep(portal)
    assert again["wasAlreadyKept"] is False
    assert again["paymentMethod"]["id"] != first


async def test_failed_detachment_is_repeated(portal: Paying) -> None:
    await allow_removal(portal)
    await remove(portal, (await keep(portal))["paymentMethod"]["id"])
    portal.api.faults.append(Fault("detach", 503, times=4))
    await detach.detach_cards(portal.payment_context)
    (waiting,) = await portal.all(Detachment)
    assert waiting.done_at is None
    await run_out(portal.engine)
    await detach.detach_cards(portal.payment_context)
    (done,) = await portal.all(Detachment)
    assert done.done_at is not None


# -- changes at Stripe -----------------------------------------------------------------------------


async def test_card_detached_at_stripe_is_removed(portal: Paying) -> None:
    await keep(portal)
    second = (await keep(portal, MASTERCARD))["paymentMethod"]["id"]
    first = next(card for card in await kept(portal) if card.is_default)
    with portal.store.transaction():
        methods.detach_method(portal.store, ACCOUNT, first.stripe_id, {})
    await portal.hears_all()
    (left,) = await kept(portal)
    # There is always a default.
    assert (f"crd_{left.id}", left.is_default) == (second, True)


async def test_card_renewed_by_the_bank_is_updated(portal: Paying) -> None:
    await keep(portal)
    (card,) = await kept(portal)
    with portal.store.transaction():
        methods.renew(portal.store, ACCOUNT, card.stripe_id, 7, 2036)
    await portal.hears_all()
    (card,) = await kept(portal)
    assert (card.exp_month, card.exp_year, card.is_default) == (7, 2036, True)


async def test_events_of_cards_in_any_order_have_the_same_outcome(portal: Paying) -> None:
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id)
    (method,) = portal.store.all("payment_method")
    with portal.store.transaction():
        methods.detach_method(portal.store, ACCOUNT, method["id"], {})
    told = events(portal, "setup_intent.succeeded", "payment_method.detached")
    for event in reversed(told):
        await portal.hears(event)
    assert await kept(portal) == []
    assert GOOD[-4:] == method["card"]["last4"]
