"""Payments stay with the Stripe account in which they began, also after the practice's account
changes.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import update

from billing.payments import audit, daily_comparison, force_end, reconcile
from billing.payments.refund import refund_payment
from billing.stripe import Forbidden
from billing.stripe.calls import request_options
from models import Claim, Payment, PaymentState, Practice
from sandbox import access, intents, reversals
from tests.support.payments import ACCOUNT, ASKS, GOOD, Paying, paying
from tests.support.reversals import at_stripe, dues, paid

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def moved(portal: Paying, account: str | None) -> None:
    """Give the practice another account at Stripe, or none."""
    async with portal.engine.begin() as conn:
        await conn.execute(update(Practice).values(stripe_account=account))


async def waiting(portal: Paying) -> tuple[str, str]:
    """Return a payment that waits for the cardholder, and its PaymentIntent."""
    await portal.invoice(10_000)
    done = await portal.pay(10_000, portal.card(ASKS))
    (intent,) = portal.store.all("payment_intent")
    return str(done["payment"]["id"]), str(intent["id"])


async def state(portal: Paying) -> PaymentState:
    (row,) = await portal.all(Payment)
    return PaymentState(row.state)


@pytest.mark.parametrize("account", ["acct_other", None])
@pytest.mark.parametrize("by", ["event", "refresh", "reconciler", "comparison"])
async def test_payment_ends_in_the_account_in_which_it_began(
    portal: Paying, account: str | None, by: str
) -> None:
    payment, intent = await waiting(portal)
    await moved(portal, account)
    at_stripe(portal, intents.authenticate_intent, intent, succeed=True)
    if by == "event":
        await portal.hears_all()
    elif by == "refresh":
        assert (await portal.refresh(payment))["__typename"] == "PaySucceeded"
    elif by == "reconciler":
        portal.clock.time += dt.timedelta(seconds=90)
        await reconcile.reconcile_untouched(portal.payment_context)
    else:
        await daily_comparison.compare_due(portal.payment_context)
    assert await state(portal) is PaymentState.SUCCEEDED
    assert await dues(portal) == [0]


async def test_payment_is_canceled_in_the_account_in_which_it_began(portal: Paying) -> None:
    payment, intent = await waiting(portal)
    await moved(portal, "acct_other")
    assert (await portal.cancel(payment))["__typename"] == "PayCanceled"
    assert portal.store.find(ACCOUNT, "payment_intent", intent)["status"] == "canceled"


async def test_refund_goes_to_the_account_of_its_payment(portal: Paying) -> None:
    payment_id, intent = await paid(portal, 10_000)
    await moved(portal, "acct_other")
    await refund_payment(portal.payment_context, payment_id, 4_000)
    at_stripe(portal, reversals.open_dispute, intent, 3_000)
    await portal.hears_all()
    assert await dues(portal) == [7_000]


async def test_money_in_a_former_account_is_audited(portal: Paying) -> None:
    payment, intent = await waiting(portal)
    await moved(portal, "acct_other")
    at_stripe(portal, intents.authenticate_intent, intent, succeed=True)
    since = portal.clock() - dt.timedelta(days=1)
    found = await audit.audit(portal.payment_context, portal.practice_id, ACCOUNT, since)
    assert [(one.what, one.why) for one in found] == [
        (payment, "REQUIRES_ACTION here, succeeded at Stripe")
    ]


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("charged", "REQUIRES_ACTION here, succeeded at Stripe"),
        ("gone", "REQUIRES_ACTION here, and Stripe has no such PaymentIntent"),
    ],
)
async def test_payment_under_way_is_audited_at_any_age(portal: Paying, at: str, why: str) -> None:
    payment, intent = await waiting(portal)
    if at == "charged":
        at_stripe(portal, intents.authenticate_intent, intent, succeed=True)
    else:
        with portal.store.transaction():
            portal.store.connection.execute("DELETE FROM object WHERE kind = 'payment_intent'")
    since = portal.clock() + dt.timedelta(days=1)
    found = await audit.audit(portal.payment_context, portal.practice_id, ACCOUNT, since)
    assert [(one.what, one.why) for one in found] == [(payment, why)]


def test_missing_account_does_not_fall_back_to_the_platforms_own() -> None:
    for missing in ("", None):
        with pytest.raises(Forbidden):
            request_options(missing)  # type: ignore[arg-type]
    assert request_options("own") == {}


# -- accounts whose access was revoked -------------------------------------------------------------


async def test_payment_in_a_deauthorised_account_keeps_its_state(portal: Paying) -> None:
    payment, _ = await waiting(portal)
    with portal.store.transaction():
        access.deauthorise(portal.store, ACCOUNT)
    for _ in range(3):
        portal.clock.time += dt.timedelta(hours=2)
        portal.bearer = await portal.token()
        await reconcile.reconcile_untouched(portal.payment_context)
        assert (await portal.refresh(payment))["__typename"] == "PayProcessing"
    assert await state(portal) is PaymentState.REQUIRES_ACTION
    since = portal.clock() - dt.timedelta(days=1)
    found = await audit.audit(portal.payment_context, portal.practice_id, ACCOUNT, since)
    assert [one.what for one in found] == [ACCOUNT, payment]


async def test_deauthorised_account_does_not_stop_the_comparison_of_others(portal: Paying) -> None:
    """The practice's own account is compared first here, and denies access."""
    _, intent = await waiting(portal)
    await moved(portal, "acct_a")
    with portal.store.transaction():
        access.deauthorise(portal.store, "acct_a")
    at_stripe(portal, intents.authenticate_intent, intent, succeed=True)
    with pytest.raises(Forbidden):
        await daily_comparison.compare_payments(
            portal.payment_context, portal.practice_id, portal.clock()
        )
    assert await state(portal) is PaymentState.SUCCEEDED
    assert await dues(portal) == [0]


async def test_operator_ends_a_payment_of_a_deauthorised_account(portal: Paying) -> None:
    payment, intent = await waiting(portal)
    payment_id = payment.removeprefix("pmt_")
    with portal.store.transaction():
        access.deauthorise(portal.store, ACCOUNT)
    assert (
        await force_end.force_end(portal.payment_context, payment_id, "account closed")
        is PaymentState.CANCELED
    )
    (row,) = await portal.all(Payment)
    assert (row.state, row.ended_because) == (PaymentState.CANCELED, "account closed")
    assert await portal.count(Claim) == 0
    with pytest.raises(force_end.NotEnded, match="is over"):
        await force_end.force_end(portal.payment_context, payment_id, "again")
    # The account is authorised again, and the charge had succeeded after all.
    with portal.store.transaction():
        access.authorise(portal.store, ACCOUNT)
    at_stripe(portal, intents.authenticate_intent, intent, succeed=True)
    with portal.store.transaction():
        portal.store.connection.execute("DELETE FROM object WHERE kind = 'event'")
    portal.clock.time += dt.timedelta(days=5)
    portal.bearer = await portal.token()
    await daily_comparison.compare_due(portal.payment_context)
    assert await state(portal) is PaymentState.SUCCEEDED
    assert await dues(portal) == [0]


async def test_ended_payment_is_canceled_at_stripe_once_access_is_back(
    portal: Paying,
) -> None:
    """Otherwise the cardholder's old tab could charge it in addition to the later payment."""
    payment, intent = await waiting(portal)
    with portal.store.transaction():
        access.deauthorise(portal.store, ACCOUNT)
    await force_end.force_end(
        portal.payment_context, payment.removeprefix("pmt_"), "account closed"
    )
    with portal.store.transaction():
        access.authorise(portal.store, ACCOUNT)
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"
    await daily_comparison.compare_payments(
        portal.payment_context, portal.practice_id, portal.clock()
    )
    assert portal.store.find(ACCOUNT, "payment_intent", intent)["status"] == "canceled"
    assert len(portal.charges()) == 1


async def test_operator_ends_a_payment_in_a_working_account_as_its_client_would(
    portal: Paying,
) -> None:
    payment, intent = await waiting(portal)
    ended = await force_end.force_end(
        portal.payment_context, payment.removeprefix("pmt_"), "no reason"
    )
    assert ended is PaymentState.CANCELED
    assert portal.store.find(ACCOUNT, "payment_intent", intent)["status"] == "canceled"
    (row,) = await portal.all(Payment)
    assert row.ended_because is None


async def test_denied_api_key_does_not_count_as_a_decline(portal: Paying) -> None:
    """401 and 403 say nothing about the card, so the payment does not fail and is charged once."""
    await portal.invoice(10_000)
    asked = portal.input(10_000, portal.card(GOOD))
    with portal.store.transaction():
        access.restrict(portal.store, "sk_test_double", ["payment_intent_write"])
    assert (await portal.sent(asked))["__typename"] == "PayProcessing"
    assert await state(portal) is PaymentState.CREATED
