"""Stripe's fee of a payment: known when it settles, or found by the daily comparison."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from billing.payments import daily_comparison
from identity.tokens import Subject
from models import Payment, Scope
from sandbox import charges
from tests.support.payments import ACCOUNT, Paying, paying
from tests.support.reversals import at_stripe, paid

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
FEES = "{ practice { payments { nodes { processorFee { amount currency } } } } }"
DASHBOARD = frozenset({Scope.BILLING_READ, Scope.AGGREGATES_READ})


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def ask(portal: Paying, scopes: frozenset[Scope] = DASHBOARD) -> dict[str, Any]:
    token = await portal.token(Subject(portal.practice_id), scopes=scopes)
    answer: dict[str, Any] = (await portal.ask(FEES, token)).json()
    return answer


async def fees(portal: Paying) -> list[Any]:
    answer = await ask(portal)
    assert "errors" not in answer, answer
    return [one["processorFee"] for one in answer["data"]["practice"]["payments"]["nodes"]]


def book_late(portal: Paying) -> None:
    (charge,) = portal.charges()
    at_stripe(portal, charges.book_late, charge["id"])


async def test_fee_is_known_when_the_payment_settles(portal: Paying) -> None:
    await paid(portal, 10_000)
    assert await fees(portal) == [{"amount": "3.20", "currency": "USD"}]


async def test_late_fee_is_found_by_the_daily_comparison(portal: Paying) -> None:
    portal.store.set(charges.LATE_FEES, value=True)
    await paid(portal, 10_000)
    assert await fees(portal) == [None]
    book_late(portal)
    await portal.hears_all()
    (before,) = await portal.all(Payment)
    assert await daily_comparison.compare_due(portal.payment_context) == 1
    assert await fees(portal) == [{"amount": "3.20", "currency": "USD"}]
    # Readers of changes see it, and the next comparison changes nothing.
    (after,) = await portal.all(Payment)
    assert after.version > before.version
    await daily_comparison.compare_payments(
        portal.payment_context, portal.practice_id, portal.clock() - daily_comparison.OVERLAP
    )
    assert [one.version for one in await portal.all(Payment)] == [after.version]


async def test_fee_in_another_currency_is_unknown(portal: Paying) -> None:
    portal.store.set(charges.LATE_FEES, value=True)
    await paid(portal, 10_000)
    book_late(portal)
    with portal.store.transaction():
        (booked,) = portal.store.all("balance_transaction")
        portal.store.save(ACCOUNT, booked | {"currency": "eur"})
    await daily_comparison.compare_due(portal.payment_context)
    assert await fees(portal) == [None]


async def test_payment_by_credit_alone_has_no_fee(portal: Paying) -> None:
    await portal.invoice(2_000)
    await portal.credit(3_000)
    done = await portal.pay(0, {"credit": True})
    assert done["__typename"] == "PaySucceeded"
    assert await fees(portal) == [None]


async def test_fee_is_for_dashboards_that_read_sums(portal: Paying) -> None:
    await paid(portal, 10_000)
    refused = await ask(portal, frozenset({Scope.BILLING_READ}))
    (error,) = refused["errors"]
    assert error["extensions"]["code"] == "SCOPE_REQUIRED"
    own = "{ client { payments { nodes { processorFee { amount } } } } }"
    (error,) = (await portal.ask(own, portal.bearer)).json()["errors"]
    assert error["extensions"]["code"] == "SCOPE_REQUIRED"
