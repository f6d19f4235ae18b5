"""Limits on card forms: few open at a time, few in an hour, and each decline counts."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest

from billing.errors import TooManyAttemptsError
from billing.payment_methods import setup_finish, setup_start
from billing.payment_methods.setup_finish import FormOwner
from billing.payment_methods.setup_start import OPEN_FORMS
from billing.payments import rate_limit
from models import CardSetup, SetupState
from sandbox.api import Fault
from tests.support.card_forms import PREPARE, add, fill_in, keep, prepare
from tests.support.late_answers import late
from tests.support.payments import ACCOUNT, DECLINED, Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
ENDS = {"succeeded", "canceled"}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry calls of Stripe without a pause."""
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0))


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


def open_at_stripe(portal: Paying) -> list[str]:
    found = portal.store.all("setup_intent")
    return [setup["id"] for setup in found if setup["status"] not in ENDS]


async def test_each_decline_counts_before_another_form_is_given(portal: Paying) -> None:
    """No event reports the declines, and no page asks for them."""
    tried = 0
    while (form := await prepare(portal))["__typename"] == "CardPrepared":
        assert fill_in(portal, form["setupIntentId"], DECLINED) == "declined"
        tried += 1
        assert tried <= rate_limit.OF_CLIENT
    assert (form["__typename"], tried) == ("TooManyAttempts", rate_limit.OF_CLIENT)
    assert open_at_stripe(portal) == []
    assert {setup.state for setup in await portal.all(CardSetup)} == {SetupState.REFUSED}


async def test_forms_opened_in_advance_leave_few_open(portal: Paying) -> None:
    for _ in range(rate_limit.FORMS_OF_CLIENT):
        assert (await prepare(portal))["__typename"] == "CardPrepared"
        assert len(open_at_stripe(portal)) <= OPEN_FORMS
    refused = await prepare(portal)
    assert refused["__typename"] == "TooManyAttempts"
    ends = portal.clock() + rate_limit.WITHIN
    assert refused["retryAt"] == f"{ends:%Y-%m-%dT%H:%M:%SZ}"
    # Forms that were closed are not declines, so the client may still pay with a card.
    await portal.invoice(1_000)
    assert (await portal.pay(1_000, portal.card()))["__typename"] == "PaySucceeded"
    portal.clock.time += dt.timedelta(minutes=61)
    portal.bearer = await portal.token()
    assert (await prepare(portal))["__typename"] == "CardPrepared"


@pytest.mark.twins(1)
async def test_forms_requested_at_once_leave_few_open(portal: Paying) -> None:
    asked = [portal.came_to("prepareCard", PREPARE, i={}) for _ in range(2 * OPEN_FORMS)]
    names = [form["__typename"] for form in await asyncio.gather(*asked)]
    assert set(names) <= {"CardPrepared", "TooManyAttempts"}
    assert "CardPrepared" in names
    assert len(open_at_stripe(portal)) <= OPEN_FORMS
    setups = await portal.all(CardSetup)
    waiting = {one.stripe_id for one in setups if one.state is SetupState.PREPARED}
    assert waiting == set(open_at_stripe(portal))


async def test_forms_requested_while_others_are_made_are_limited(
    portal: Paying,
) -> None:
    """Each form is closed by newer ones before Stripe has made it, and counts all the same."""
    outcomes = Counter[str]()

    async def another() -> None:
        if outcomes.total() + 1 < 2 * rate_limit.FORMS_OF_CLIENT:
            outcomes["asked"] += 1
            with suppress(TooManyAttemptsError):
                await setup_start.start_setup(
                    late(portal.payment_context, "prepare", another), holder(portal)
                )

    await another()
    assert len(portal.store.all("setup_intent")) == rate_limit.FORMS_OF_CLIENT
    assert len(open_at_stripe(portal)) <= OPEN_FORMS
    refused = await prepare(portal)
    assert refused["__typename"] == "TooManyAttempts"


async def test_form_closed_before_stripe_made_it_is_refused(
    portal: Paying,
) -> None:
    async def newer() -> None:
        for _ in range(OPEN_FORMS):
            await prepare(portal)

    with pytest.raises(TooManyAttemptsError, match="at once"):
        await setup_start.start_setup(
            late(portal.payment_context, "prepare", newer), holder(portal)
        )
    assert len(open_at_stripe(portal)) == OPEN_FORMS


async def test_form_closed_while_it_is_made_is_closed_at_stripe_too(
    portal: Paying,
) -> None:
    unnamed: list[Any] = []

    async def read() -> None:
        unnamed.extend(await setup_start.open_forms(portal.payment_context, holder(portal)))

    await setup_start.start_setup(late(portal.payment_context, "prepare", read), holder(portal))
    assert [setup.stripe_id for setup in unnamed] == [None]
    await setup_finish.close_setup(portal.payment_context, unnamed[0])
    assert open_at_stripe(portal) == []
    (setup,) = await portal.all(CardSetup)
    assert setup.state is SetupState.CANCELED


def holder(portal: Paying) -> FormOwner:
    return FormOwner(portal.practice_id, portal.client_id, None, ACCOUNT, None)


async def test_form_closed_by_newer_ones_is_invalid_input(portal: Paying) -> None:
    first = (await prepare(portal))["setupIntentId"]
    for _ in range(OPEN_FORMS):
        last = (await prepare(portal))["setupIntentId"]
    assert fill_in(portal, first) == "declined"
    closed = await add(portal, first)
    assert (closed["__typename"], closed["path"]) == ("InvalidInput", ["input", "setupIntentId"])
    assert fill_in(portal, last) == "succeeded"
    assert (await add(portal, last))["__typename"] == "CardAdded"


async def test_form_confirmed_before_it_is_closed_is_kept(portal: Paying) -> None:
    first = (await prepare(portal))["setupIntentId"]
    fill_in(portal, first)
    for _ in range(OPEN_FORMS):
        await prepare(portal)
    assert (await add(portal, first))["__typename"] == "CardAdded"


async def test_successful_forms_do_not_count(portal: Paying) -> None:
    for _ in range(OPEN_FORMS + 2):
        assert (await keep(portal))["__typename"] == "CardAdded"


async def test_form_that_stripe_failed_to_make_does_not_count(portal: Paying) -> None:
    for _ in range(rate_limit.FORMS_OF_CLIENT + 1):
        portal.api.faults[:] = [Fault("setup_intents", 503, times=9)]
        answer = (await portal.ask(PREPARE, portal.bearer, i={})).json()
        assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    portal.api.faults.clear()
    assert {setup.state for setup in await portal.all(CardSetup)} == {SetupState.UNMADE}
    assert (await prepare(portal))["__typename"] == "CardPrepared"
    assert len(open_at_stripe(portal)) == 1
