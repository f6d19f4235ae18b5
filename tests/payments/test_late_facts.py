"""Facts from Stripe are written in their order, however late its responses and events arrive."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from billing.payments import audit, confirm, daily_comparison, reconcile, settle
from billing.payments.confirm import refresh
from billing.payments.refund import refund_payment
from billing.payments.reversals import reverse
from billing.stripe import Stripe
from models import Dispute, DisputeState, Payment, PaymentState, Refund, RefundState
from sandbox import intents, reversals, strangers
from tests.support import postgres, shares
from tests.support.payments import ACCOUNT, ASKS, Paying, paying
from tests.support.reversals import at_stripe, dues, paid, refunded_there

# Days between the comparisons of a long dispute.
COMPARED_EVERY = shares.number(1, quick=7)
NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
Slow = Callable[[str], tuple[asyncio.Event, asyncio.Event]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """Hold back the first response of a call until the test releases it."""

    def hold(name: str) -> tuple[asyncio.Event, asyncio.Event]:
        reached, go_on, call = asyncio.Event(), asyncio.Event(), getattr(Stripe, name)

        async def held(*given: Any, **named: Any) -> Any:
            answer = await call(*given, **named)
            if not reached.is_set():
                reached.set()
                await go_on.wait()
            return answer

        monkeypatch.setattr(Stripe, name, held)
        return reached, go_on

    return hold


async def later(portal: Paying, **passes: float) -> None:
    portal.clock.time += dt.timedelta(**passes)
    portal.bearer = await portal.token()


# -- late responses --------------------------------------------------------------------------------


@pytest.mark.twins(1)
async def test_late_response_does_not_undo_a_failed_refund(portal: Paying, slow: Slow) -> None:
    """Otherwise the invoice would be payable again after it was paid."""
    payment_id, _ = await paid(portal, 10_000)
    done = await refund_payment(portal.payment_context, payment_id, 4_000)
    reached, go_on = slow("refunds")
    late = asyncio.create_task(reverse(portal.payment_context, portal.practice_id, payment_id))
    await reached.wait()
    at_stripe(portal, reversals.fail_refund, done.stripe_id)
    await reverse(portal.payment_context, portal.practice_id, payment_id)
    assert await dues(portal) == [0]
    go_on.set()
    await late
    (row,) = await portal.all(Refund)
    assert row.state is RefundState.FAILED
    assert await dues(portal) == [0]


@pytest.mark.twins(1)
async def test_late_response_does_not_reopen_a_won_dispute(portal: Paying, slow: Slow) -> None:
    payment_id, intent = await paid(portal, 10_000)
    made = at_stripe(portal, reversals.open_dispute, intent)
    reached, go_on = slow("disputes")
    late = asyncio.create_task(reverse(portal.payment_context, portal.practice_id, payment_id))
    await reached.wait()
    at_stripe(portal, reversals.close_dispute, made["id"], won=True)
    await reverse(portal.payment_context, portal.practice_id, payment_id)
    go_on.set()
    await late
    (row,) = await portal.all(Dispute)
    assert row.state is DisputeState.WON
    assert await dues(portal) == [0]


@pytest.mark.twins(1)
async def test_late_response_does_not_send_a_payment_back(portal: Paying, slow: Slow) -> None:
    """PROCESSING is written while an earlier response with REQUIRES_ACTION is under way."""
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    (row,) = await portal.all(Payment)
    reached, go_on = slow("intent")
    late = asyncio.create_task(refresh(portal.payment_context, portal.practice_id, row.id))
    await reached.wait()
    (waiting,) = portal.store.all("payment_intent")
    with portal.store.transaction():
        portal.store.save(ACCOUNT, waiting | {"status": "processing", "next_action": None})
    assert (await portal.refresh(payment))["__typename"] == "PayProcessing"
    go_on.set()
    await late
    (row,) = await portal.all(Payment)
    assert row.state is PaymentState.PROCESSING


@pytest.mark.parametrize(
    ("final", "earlier"), [("failed", "succeeded"), ("failed", "pending"), ("canceled", "pending")]
)
async def test_final_refund_stays_final(portal: Paying, final: str, earlier: str) -> None:
    payment_id, intent = await paid(portal, 10_000)
    made = refunded_there(portal, intent, 4_000)
    for status in (final, earlier):
        with portal.store.transaction():
            found = portal.store.find(ACCOUNT, "refund", made)
            portal.store.save(ACCOUNT, found | {"status": status})
        await reverse(portal.payment_context, portal.practice_id, payment_id)
    (row,) = await portal.all(Refund)
    assert row.state is RefundState.FAILED
    assert await dues(portal) == [0]


# -- late changes without their events -------------------------------------------------------------


async def compared(portal: Paying) -> None:
    """Run the daily comparison of the worker; no events were delivered."""
    assert await daily_comparison.compare_due(portal.payment_context) == 1


async def test_dispute_won_after_seventy_days_is_found(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    made = at_stripe(portal, reversals.open_dispute, intent)
    await compared(portal)
    assert await dues(portal) == [10_000]
    for _ in range(0, 70, COMPARED_EVERY):
        await later(portal, days=COMPARED_EVERY, minutes=1)
        await compared(portal)
    with portal.store.transaction():
        portal.store.connection.execute("DELETE FROM object WHERE kind = 'event'")
        reversals.close_dispute(portal.store, ACCOUNT, made["id"], won=True)
        portal.store.connection.execute("DELETE FROM object WHERE kind = 'event'")
    await later(portal, days=1, minutes=1)
    await compared(portal)
    assert await dues(portal) == [0]


async def test_refund_that_fails_after_a_week_is_found(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    done = await refund_payment(portal.payment_context, payment_id, 4_000)
    await compared(portal)
    await later(portal, days=7)
    at_stripe(portal, reversals.fail_refund, done.stripe_id)
    with portal.store.transaction():
        portal.store.connection.execute("DELETE FROM object WHERE kind = 'event'")
    await compared(portal)
    assert await dues(portal) == [0]


async def test_lost_event_is_listed_and_followed(portal: Paying) -> None:
    """The refund is too old to be compared by itself."""
    payment_id, _ = await paid(portal, 10_000)
    done = await refund_payment(portal.payment_context, payment_id, 4_000)
    await compared(portal)
    await later(portal, days=200)
    await compared(portal)
    at_stripe(portal, reversals.fail_refund, done.stripe_id)
    await later(portal, days=1, minutes=1)
    await compared(portal)
    await portal.hears()
    assert await dues(portal) == [0]


async def test_payment_that_succeeds_after_weeks_is_found(portal: Paying) -> None:
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    (waiting,) = portal.store.all("payment_intent")
    with portal.store.transaction():
        portal.store.save(ACCOUNT, waiting | {"status": "processing", "next_action": None})
    await portal.refresh(payment)
    await compared(portal)
    await later(portal, days=40)
    with portal.store.transaction():
        portal.store.save(ACCOUNT, waiting | {"status": "requires_action"})
        intents.authenticate_intent(portal.store, ACCOUNT, waiting["id"], succeed=True)
        portal.store.connection.execute("DELETE FROM object WHERE kind = 'event'")
    await compared(portal)
    assert await dues(portal) == [0]


# -- objects of other integrations, and disputes of other amounts ----------------------------------


async def test_objects_of_other_integrations_are_ignored(portal: Paying) -> None:
    payment_id, intent = await paid(portal, 10_000)
    with portal.store.transaction():
        strangers.settle_in(portal.store, ACCOUNT)
    await compared(portal)
    await portal.hears_all()
    refunded_there(portal, intent, 4_000)
    await later(portal, days=1, minutes=1)
    await compared(portal)
    assert await dues(portal) == [4_000]
    assert [row.payment_id for row in await portal.all(Refund)] == [payment_id]


@pytest.mark.parametrize(("amount", "currency"), [(10_001, "usd"), (4_000, "eur"), (1, "jpy")])
async def test_dispute_of_another_amount_takes_the_whole_payment(
    portal: Paying, amount: int, currency: str
) -> None:
    payment_id, intent = await paid(portal, 10_000)
    at_stripe(portal, reversals.open_dispute, intent, amount, currency=currency)
    await reverse(portal.payment_context, portal.practice_id, payment_id)
    assert await dues(portal) == [10_000]
    since = portal.clock() - dt.timedelta(days=1)
    assert await audit.audit(portal.payment_context, portal.practice_id, ACCOUNT, since) == []


async def test_dispute_of_zero_takes_nothing(portal: Paying) -> None:
    payment_id, intent = await paid(portal, 10_000)
    at_stripe(portal, reversals.open_dispute, intent, 0)
    await reverse(portal.payment_context, portal.practice_id, payment_id)
    assert await dues(portal) == [0]
    assert await portal.count(Dispute) == 0


async def test_times_are_stripes(portal: Paying) -> None:
    payment_id, intent = await paid(portal, 10_000)
    charged = portal.clock()
    await later(portal, days=3)
    refunded_there(portal, intent, 4_000)
    refunded = portal.clock()
    await later(portal, days=3)
    at_stripe(portal, reversals.open_dispute, intent, 6_000)
    disputed = portal.clock()
    await later(portal, days=3)
    await reverse(portal.payment_context, portal.practice_id, payment_id)
    (payment,), (given,), (taken,) = (
        await portal.all(Payment),
        await portal.all(Refund),
        await portal.all(Dispute),
    )
    found = payment.charged_at, given.refunded_at, taken.disputed_at
    assert found == tuple(one.replace(microsecond=0) for one in (charged, refunded, disputed))


async def test_id_committed_while_its_payment_is_given_up_is_not_charged(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step T2 doesn't lock the client, so on PostgreSQL it may commit in the middle of giving up.

    Otherwise the slow tab would charge a payment whose invoice another one has paid.
    """
    announce, change = confirm.mark_confirming, settle.change_state
    begun, deciding, announced, paid_again = (asyncio.Event() for _ in range(4))

    async def slowly(context: Any, paying_: Any) -> bool:
        if announced.is_set():
            return await announce(context, paying_)
        begun.set()
        await deciding.wait()
        is_announced = await announce(context, paying_)
        announced.set()
        await paid_again.wait()
        return is_announced

    async def after_t2(*given: Any, **named: Any) -> None:
        deciding.set()
        await announced.wait()
        await change(*given, **named)

    monkeypatch.setattr(confirm, "mark_confirming", slowly)
    monkeypatch.setattr("billing.payments.confirm.change_state", after_t2)
    async with postgres.database(postgres_url) as url, paying(url) as portal:
        await portal.invoice(10_000)
        slow = asyncio.create_task(portal.pay(10_000, portal.card()))
        await begun.wait()
        await later(portal, seconds=90)
        await reconcile.reconcile_untouched(portal.payment_context)
        assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"
        paid_again.set()
        await slow
        assert len(portal.charges()) == 1
        assert await dues(portal) == [0]
