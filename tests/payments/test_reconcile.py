"""`portal reconcile` reports every difference between the ledger and Stripe, and nothing else."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import delete, update

from billing.payments import audit
from billing.payments.refund import refund_payment
from models import (
    Allocation,
    Dispute,
    DisputeState,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PaymentState,
    Receipt,
    Refund,
    Row,
)
from sandbox import methods, reversals
from tests.support.card_forms import keep
from tests.support.payments import ACCOUNT, Paying, paying
from tests.support.reversals import at_stripe, paid, refunded_there
from tests.support.unprotected import unprotected

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    """Yield a portal with a payment, a partial refund, a payment awaiting the bank, and a card on
    file.
    """
    async with new_database() as url, paying(url) as it:
        payment_id, _ = await paid(it, 10_000)
        _, intent = await paid(it, 2_000, 4_000)
        await refund_payment(it.payment_context, payment_id, 4_000)
        disputed = at_stripe(it, reversals.open_dispute, intent, 1_000)
        at_stripe(it, reversals.close_dispute, disputed["id"], won=False)
        await it.hears_all()
        await keep(it)
        yield it


async def whys(portal: Paying) -> list[str]:
    since = portal.clock() - dt.timedelta(days=1)
    whose = portal.practice_id, ACCOUNT
    return [one.why for one in await audit.audit(portal.payment_context, *whose, since)]


async def change(portal: Paying, row: type[Row], *where: Any, **values: Any) -> None:
    async with unprotected(portal.url, row.__tablename__) as conn:
        await conn.execute(update(row).where(*where).values(values))


async def drop(portal: Paying, row: type[Row], *where: Any) -> None:
    async with unprotected(portal.url, row.__tablename__) as conn:
        await conn.execute(delete(row).where(*where))


def forgotten(portal: Paying, kind: str) -> None:
    """Delete the objects of a kind at Stripe."""
    with portal.store.transaction():
        portal.store.connection.execute("DELETE FROM object WHERE kind = ?", (kind,))


async def a_charge_that_no_payment_has(portal: Paying) -> None:
    await change(portal, Payment, stripe_id=None)


async def a_payment_that_failed_here(portal: Paying) -> None:
    failed = {"state": PaymentState.FAILED, "paid_at": None, "failure_reason": "GENERIC"}
    await change(portal, Payment, Payment.amount_minor == 6_000, **failed)


async def a_payment_that_stripe_has_not(portal: Paying) -> None:
    forgotten(portal, "payment_intent")


async def a_payment_that_is_not_over_at_stripe(portal: Paying) -> None:
    with portal.store.transaction():
        for intent in portal.store.all("payment_intent"):
            portal.store.save(ACCOUNT, intent | {"status": "processing"})


async def another_amount(portal: Paying) -> None:
    await change(portal, LedgerEntry, LedgerEntry.kind == "PAYMENT", amount_minor=-1)


async def a_receipt_that_is_missing(portal: Paying) -> None:
    await drop(portal, Receipt)


async def a_refund_that_nobody_told_of(portal: Paying) -> None:
    intent = portal.store.all("payment_intent")[0]["id"]
    refunded_there(portal, intent, 500)


async def a_refund_that_stripe_has_not(portal: Paying) -> None:
    forgotten(portal, "refund")


async def a_refund_that_is_not_in_the_ledger(portal: Paying) -> None:
    await drop(portal, LedgerEntry, LedgerEntry.kind == "REFUND")


async def a_refund_without_an_end(portal: Paying) -> None:
    await change(portal, Refund, state="REQUESTED", stripe_id=None)


async def a_dispute_that_nobody_told_of(portal: Paying) -> None:
    await drop(portal, LedgerEntry, LedgerEntry.dispute_id.is_not(None))
    await drop(portal, Allocation, Allocation.dispute_id.is_not(None))
    await drop(portal, Dispute)


async def a_dispute_that_was_decided(portal: Paying) -> None:
    await change(portal, Dispute, state=DisputeState.OPEN)


async def a_dispute_that_is_not_in_the_ledger(portal: Paying) -> None:
    await drop(portal, LedgerEntry, LedgerEntry.dispute_id.is_not(None))


async def a_card_that_stripe_has_no_more(portal: Paying) -> None:
    (card,) = await portal.all(PaymentMethod)
    at_stripe(portal, methods.detach_method, card.stripe_id, {})


PLANTED: dict[Callable[[Paying], Awaitable[None]], str] = {
    a_charge_that_no_payment_has: "no payment here has it",
    a_payment_that_failed_here: "FAILED here, succeeded at Stripe",
    a_payment_that_stripe_has_not: "Stripe has no such PaymentIntent",
    a_payment_that_is_not_over_at_stripe: "succeeded here, processing at Stripe",
    another_amount: "1 in the ledger, 10000 at Stripe",
    a_receipt_that_is_missing: "has no receipt",
    a_refund_that_nobody_told_of: "a refund at Stripe, and none here",
    a_refund_that_stripe_has_not: "a refund here, and Stripe has no such refund",
    a_refund_that_is_not_in_the_ledger: "0 refunded in the ledger, 4000 at Stripe",
    a_refund_without_an_end: "its result is unknown",
    a_dispute_that_nobody_told_of: "a dispute at Stripe, and none here",
    a_dispute_that_was_decided: "the dispute is OPEN here, LOST there",
    a_dispute_that_is_not_in_the_ledger: "0 disputed in the ledger, 1000 at Stripe",
    a_card_that_stripe_has_no_more: "no longer at Stripe",
}


async def test_without_a_difference_nothing_is_reported(portal: Paying) -> None:
    assert await whys(portal) == []


@pytest.mark.share(3)
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
async def test_planted_difference_is_reported(
    portal: Paying, plant: Callable[[Paying], Any]
) -> None:
    await plant(portal)
    found = await whys(portal)
    assert any(PLANTED[plant] in why for why in found), found
