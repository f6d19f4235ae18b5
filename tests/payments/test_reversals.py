"""Refunds and disputes: the account after each of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import update

from billing.payments import daily_comparison
from billing.payments.refund import NotRefunded, refund_payment
from models import Dispute, LedgerEntry, Refund, RefundState
from sandbox import reversals
from tests.support.payments import ACCOUNT, Paying, paying
from tests.support.reversals import at_stripe, dues, minor, paid, refunded_there, standing
from tests.support.unprotected import unprotected

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


# -- refunds ---------------------------------------------------------------------------------------


async def test_refund_makes_the_last_invoice_due_again_first(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000, 5_000)
    done = await refund_payment(portal.payment_context, payment_id, 7_000)
    assert (done.state, done.amount_minor) == (RefundState.SUCCEEDED, 7_000)
    client = await standing(portal)
    assert minor(client, "balance", "amount") == 7_000
    assert [minor(one, "amountDue") for one in client["invoices"]["nodes"]] == [2_000, 5_000]
    assert [one["status"] for one in client["invoices"]["nodes"]] == ["PARTIALLY_PAID", "UNPAID"]
    assert minor(client["payments"]["nodes"][0], "refunded") == 7_000
    terms = client["balance"]["terms"]
    assert sum(minor(term, "amount") for term in terms) == 7_000
    # Refund the rest in a second refund.
    await refund_payment(portal.payment_context, payment_id)
    assert await dues(portal) == [10_000, 5_000]
    with pytest.raises(NotRefunded):
        await refund_payment(portal.payment_context, payment_id)
    # The invoices are due again, and are paid again.
    assert (await portal.pay(15_000, portal.card()))["__typename"] == "PaySucceeded"
    assert await dues(portal) == [0, 0]


async def test_refund_in_stripes_dashboard_is_followed_by_its_event(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    refunded_there(portal, intent, 4_000)
    await portal.hears_all()
    assert await dues(portal) == [4_000]
    await portal.hears_all()
    assert await dues(portal) == [4_000]


async def test_refund_in_stripes_dashboard_is_found_by_the_daily_comparison(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    refunded_there(portal, intent, 4_000)
    assert await daily_comparison.compare_due(portal.payment_context) == 1
    assert await dues(portal) == [4_000]


async def test_failed_refund_is_taken_back(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000, 5_000)
    done = await refund_payment(portal.payment_context, payment_id, 6_000)
    at_stripe(portal, reversals.fail_refund, done.stripe_id)
    await portal.hears_all()
    client = await standing(portal)
    assert minor(client, "balance", "amount") == 0
    assert [one["status"] for one in client["invoices"]["nodes"]] == ["PAID", "PAID"]
    assert minor(client["payments"]["nodes"][0], "refunded") == 0
    # The amount can be refunded again.
    await refund_payment(portal.payment_context, payment_id)
    assert await dues(portal) == [10_000, 5_000]


async def test_refund_returns_unused_credit_before_it_reopens_an_invoice(portal: Paying) -> None:
    payment_id, intent = await paid(portal, 10_000)
    # Stripe captured more than was requested; the rest is unused credit.
    with portal.store.transaction():
        told = portal.store.find(ACCOUNT, "payment_intent", intent)
        charge = portal.store.find(ACCOUNT, "charge", told["latest_charge"])
        charge["amount"] = 12_000
        portal.store.save(ACCOUNT, charge)
    async with unprotected(portal.url, "ledger_entry") as conn:
        statement = update(LedgerEntry).where(LedgerEntry.payment_id == payment_id)
        await conn.execute(statement.values(amount_minor=-12_000))
    await refund_payment(portal.payment_context, payment_id, 2_000)
    assert await dues(portal) == [0]
    await refund_payment(portal.payment_context, payment_id, 1_000)
    assert await dues(portal) == [1_000]


@pytest.mark.twins(1)
async def test_concurrent_refunds_do_not_exceed_the_payment(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    tried = [refund_payment(portal.payment_context, payment_id, 7_000) for _ in range(6)]
    await asyncio.gather(*tried, return_exceptions=True)
    assert [one["amount"] for one in portal.store.all("refund")] == [7_000]
    assert await dues(portal) == [7_000]


async def test_invalid_refund_is_refused_with_a_reason(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    for amount in (0, -1, 10_001):
        with pytest.raises(NotRefunded):
            await refund_payment(portal.payment_context, payment_id, amount)
    await portal.credit(3_000)
    await portal.invoice(3_000)
    by_credit = await portal.pay(0, {"credit": True})
    with pytest.raises(NotRefunded, match="card"):
        await refund_payment(
            portal.payment_context, by_credit["payment"]["id"].removeprefix("pmt_")
        )
    with pytest.raises(NotRefunded, match="no such"):
        await refund_payment(portal.payment_context, portal.client_id)


async def test_refund_of_a_chosen_invoice_makes_it_due_again(portal: Paying) -> None:
    """Otherwise credit would be given back first, and then the part of the last invoice."""
    payment_id, _ = await paid(portal, 10_000, 5_000, 2_000)
    await portal.credit(9_000)
    first, *_ = (await standing(portal))["invoices"]["nodes"]
    invoice = {"invoice_id": first["id"].removeprefix("inv_")}
    done = await refund_payment(portal.payment_context, payment_id, 4_000, **invoice)
    assert await dues(portal) == [4_000, 0, 0]
    rest = await refund_payment(portal.payment_context, payment_id, **invoice)
    assert rest.amount_minor == 6_000
    assert await dues(portal) == [10_000, 0, 0]
    at_stripe(portal, reversals.fail_refund, done.stripe_id)
    await portal.hears_all()
    assert await dues(portal) == [6_000, 0, 0]
    # Credit was not touched.
    terms = (await standing(portal))["balance"]["terms"]
    assert sum(minor(term, "amount") for term in terms) == 6_000 - 9_000


async def test_refund_gives_back_no_more_than_was_paid_on_the_invoice(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000, 5_000)
    other = await portal.invoice(3_000)
    first, second, _ = (await standing(portal))["invoices"]["nodes"]
    chosen = {"invoice_id": second["id"].removeprefix("inv_")}
    context = portal.payment_context
    for asked, of in ((5_001, chosen), (None, {"invoice_id": other})):
        with pytest.raises(NotRefunded, match="left of the payment on the invoice"):
            await refund_payment(context, payment_id, asked, **of)
    assert not await portal.all(Refund)
    await refund_payment(context, payment_id, key="first", **chosen)
    again = {"invoice_id": first["id"].removeprefix("inv_")}
    with pytest.raises(NotRefunded, match="another invoice"):
        await refund_payment(context, payment_id, key="first", **again)
    resumed = await refund_payment(context, payment_id, key="first", **chosen)
    assert resumed.invoice_id == chosen["invoice_id"]
    assert await dues(portal) == [0, 5_000, 3_000]
    assert len(portal.store.all("refund")) == 1


# -- disputes --------------------------------------------------------------------------------------


async def test_disputed_invoice_is_due_and_not_payable(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000, 5_000)
    await portal.invoice(2_000)
    at_stripe(portal, reversals.open_dispute, intent, 5_000)
    await portal.hears_all()
    client = await standing(portal)
    assert minor(client, "balance", "amount") == 7_000
    assert minor(client, "balance", "payable") == 2_000
    nodes = client["invoices"]["nodes"]
    assert [one["isDisputed"] for one in nodes] == [False, True, False]
    assert [minor(one, "amountDue") for one in nodes] == [0, 5_000, 2_000]
    assert [minor(one, "payable") for one in nodes] == [0, 0, 2_000]
    refused = await portal.pay(5_000, portal.card(), invoiceId=nodes[1]["id"])
    assert refused["__typename"] == "NothingToPay"
    terms = {term["kind"]: minor(term, "amount") for term in client["balance"]["terms"]}
    assert (terms["DISPUTED"], sum(terms.values())) == (5_000, 7_000)
    # Other invoices can be paid in the meantime.
    assert (await portal.pay(2_000, portal.card()))["__typename"] == "PaySucceeded"
    client = await standing(portal)
    assert client["canPay"] == {"isAllowed": False, "reason": "NOTHING_TO_PAY"}


async def test_won_dispute_pays_the_invoice_again(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    disputed = at_stripe(portal, reversals.open_dispute, intent)
    await portal.hears_all()
    assert await dues(portal) == [10_000]
    at_stripe(portal, reversals.close_dispute, disputed["id"], won=True)
    await portal.hears_all()
    client = await standing(portal)
    assert minor(client, "balance", "amount") == 0
    assert [one["isDisputed"] for one in client["invoices"]["nodes"]] == [False]
    amounts = [minor(one, "amount") for one in client["accountHistory"]["nodes"]]
    assert sorted(amounts) == [-10_000, 10_000]


async def test_lost_dispute_leaves_the_invoice_due_and_payable(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    disputed = at_stripe(portal, reversals.open_dispute, intent)
    at_stripe(portal, reversals.close_dispute, disputed["id"], won=False)
    await portal.hears_all()
    client = await standing(portal)
    assert minor(client, "balance", "payable") == 10_000
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"
    assert await dues(portal) == [0]


async def test_card_for_disputes_is_disputed(portal: Paying) -> None:
    await portal.invoice(10_000)
    paid_ = await portal.pay(10_000, portal.card("4000000000000259"))
    assert paid_["__typename"] == "PaySucceeded"
    await portal.hears_all()
    assert await portal.count(Dispute) == 1
    assert minor(await standing(portal), "balance", "payable") == 0
