"""Keys of refunds: an operator's refund is made once, whichever way the command is repeated."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from billing.payments import daily_comparison
from billing.payments.refund import NotRefunded, refund_payment
from billing.payments.reversals import reverse
from billing.stripe import Unknown
from models import Refund, RefundState
from sandbox import reversals
from sandbox.api import Fault
from tests.support.payments import Paying, paying
from tests.support.reversals import at_stripe, dues, paid, refunded_there

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


def given_back(portal: Paying) -> list[int]:
    return [one["amount"] for one in portal.store.all("refund")]


async def test_same_key_is_the_same_refund(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    first = await refund_payment(portal.payment_context, payment_id, 2_500, key="complaint 7")
    again = await refund_payment(portal.payment_context, payment_id, 2_500, key="complaint 7")
    assert (again.id, again.state) == (first.id, RefundState.SUCCEEDED)
    assert given_back(portal) == [2_500]
    with pytest.raises(NotRefunded, match="another amount"):
        await refund_payment(portal.payment_context, payment_id, 2_600, key="complaint 7")


async def test_second_refund_of_the_same_amount_needs_a_key(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    await refund_payment(portal.payment_context, payment_id, 2_500)
    with pytest.raises(NotRefunded, match="choose a new key"):
        await refund_payment(portal.payment_context, payment_id, 2_500)
    assert given_back(portal) == [2_500]
    await refund_payment(portal.payment_context, payment_id, 2_500, key="another session")
    await refund_payment(portal.payment_context, payment_id, 1_000)
    assert given_back(portal) == [2_500, 2_500, 1_000]
    assert await dues(portal) == [6_000]


async def test_refund_in_the_dashboard_counts_as_an_earlier_one(portal: Paying) -> None:
    payment_id, intent = await paid(portal, 10_000)
    refunded_there(portal, intent, 2_500)
    with pytest.raises(NotRefunded, match="given back before"):
        await refund_payment(portal.payment_context, payment_id, 2_500)
    assert given_back(portal) == [2_500]


@pytest.mark.parametrize("after", [False, True])
async def test_refund_with_a_lost_response_is_resumed_by_the_printed_key(
    portal: Paying, after: bool
) -> None:
    """Also if an event reported the refund in the meantime, which ends the first run's row."""
    payment_id, _ = await paid(portal, 10_000)
    keys: list[str] = []
    portal.api.faults.append(Fault("POST refunds", drop=True, after=after))
    with pytest.raises(Unknown):
        await refund_payment(
            portal.payment_context, payment_id, 2_500, begun=lambda row: keys.append(row.key)
        )
    if after:
        await daily_comparison.compare_payments(
            portal.payment_context, portal.practice_id, portal.clock()
        )
    with pytest.raises(NotRefunded, match="given back before" if after else "no answer yet"):
        await refund_payment(portal.payment_context, payment_id, 2_500)
    done = await refund_payment(portal.payment_context, payment_id, key=keys[0])
    assert (done.state, done.amount_minor) == (RefundState.SUCCEEDED, 2_500)
    assert given_back(portal) == [2_500]
    assert await dues(portal) == [2_500]


@pytest.mark.parametrize("of", ["the dashboard", "another payment"])
async def test_another_refunds_id_is_refused_as_a_key(portal: Paying, of: str) -> None:
    """Otherwise a command with another refund's id would refund all that is left."""
    another, _ = await paid(portal, 1_000)
    payment_id, intent = await paid(portal, 10_000)
    refunded_there(portal, intent, 2_500)
    await reverse(portal.payment_context, portal.practice_id, payment_id)
    (row,) = await portal.all(Refund)
    if of == "the dashboard":
        assert (
            await refund_payment(portal.payment_context, payment_id, key=f"rfd_{row.id}")
        ).id == row.id
    else:
        with pytest.raises(NotRefunded, match="has no refund"):
            await refund_payment(portal.payment_context, another, key=f"rfd_{row.id}")
    assert given_back(portal) == [2_500]


async def test_refund_refused_by_stripe_is_not_resumed_in_full(portal: Paying) -> None:
    payment_id, intent = await paid(portal, 10_000)
    made, keys = at_stripe(portal, reversals.open_dispute, intent, 1_000), []
    with pytest.raises(NotRefunded, match="charge_disputed"):
        await refund_payment(
            portal.payment_context, payment_id, 500, begun=lambda row: keys.append(row.key)
        )
    at_stripe(portal, reversals.close_dispute, made["id"], won=True)
    with pytest.raises(NotRefunded, match="nothing was given back"):
        await refund_payment(portal.payment_context, payment_id, key=keys[0])
    assert given_back(portal) == []


async def test_key_is_printed_before_the_call_of_stripe(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    asked: list[Any] = []

    def begun(row: Any) -> None:
        asked.append((row.key, given_back(portal)))

    done = await refund_payment(portal.payment_context, payment_id, 2_500, begun=begun)
    assert asked == [(f"rfd_{done.id}", [])]


async def test_failed_refund_may_be_repeated_without_a_key(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    done = await refund_payment(portal.payment_context, payment_id, 2_500)
    at_stripe(portal, reversals.fail_refund, done.stripe_id)
    await refund_payment(portal.payment_context, payment_id, 2_500)
    states = sorted(row.state for row in await portal.all(Refund))
    assert states == [RefundState.FAILED, RefundState.SUCCEEDED]
    assert await dues(portal) == [2_500]


async def test_pending_refund_is_not_made_twice(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    portal.store.set("refunds", "pending")
    done = await refund_payment(portal.payment_context, payment_id, 10_000)
    assert done.state is RefundState.PENDING
    with pytest.raises(NotRefunded):
        await refund_payment(portal.payment_context, payment_id, 10_000)
    with pytest.raises(NotRefunded, match="more than is left"):
        await refund_payment(portal.payment_context, payment_id, 1)
    assert given_back(portal) == [10_000]
