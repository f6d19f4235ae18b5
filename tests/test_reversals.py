"""Refunds and disputes: whoever tells of them, in whatever order, the account is the same."""

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from billing.charging import comparing
from billing.charging.refunding import NotRefunded, refund
from billing.gateway import Unknown
from models import Dispute, LedgerEntry, Refund, RefundState
from sandbox import reversals
from sandbox.api import Fault
from tests.paying import ACCOUNT, Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]

STANDING = """{ client {
  balance { amount { minorUnits } payable { minorUnits } terms { kind amount { minorUnits } } }
  canPay { isAllowed reason }
  invoices(orderBy: {field: NUMBER, direction: ASC}) {
    nodes { id status isDisputed amountPaid { minorUnits } amountDue { minorUnits }
      payable { minorUnits } } }
  payments { nodes { refunded { minorUnits } } }
  accountHistory(kind: [REFUND, ADJUSTMENT]) { nodes { kind description amount { minorUnits } } }
} }"""


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def paid(portal: Paying, *amounts: int) -> tuple[str, str]:
    """The whole balance of such invoices, paid: the payment's id, and its PaymentIntent's."""
    for amount in amounts:
        await portal.invoice(amount)
    done = await portal.pay(sum(amounts), portal.card())
    assert done["__typename"] == "PaySucceeded"
    payment_id = done["payment"]["id"].removeprefix("pmt_")
    (intent,) = (
        one["id"]
        for one in portal.store.all("payment_intent")
        if one["metadata"]["payment"] == payment_id
    )
    return payment_id, intent


async def standing(portal: Paying) -> dict[str, Any]:
    portal.bearer = await portal.token()
    answer = (await portal.ask(STANDING, portal.bearer)).json()
    assert "errors" not in answer, answer
    client: dict[str, Any] = answer["data"]["client"]
    return client


def minor(of: dict[str, Any], *path: str) -> int:
    for name in path:
        of = of[name]
    return int(of["minorUnits"])


async def dues(portal: Paying) -> list[int]:
    nodes = (await standing(portal))["invoices"]["nodes"]
    return [minor(node, "amountDue") for node in nodes]


def at_stripe(portal: Paying, what: Callable[..., Any], *given: Any, **named: Any) -> Any:
    with portal.store.transaction():
        return what(portal.store, ACCOUNT, *given, **named)


def refunded_there(portal: Paying, intent: str, amount: int) -> str:
    params = {"payment_intent": intent, "amount": str(amount)}
    return str(at_stripe(portal, reversals.refund, params)["id"])


# -- refunds ---------------------------------------------------------------------------------------


async def test_a_refund_makes_the_last_invoice_due_again_first(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000, 5_000)
    done = await refund(portal.till, payment_id, 7_000)
    assert (done.state, done.amount_minor) == (RefundState.SUCCEEDED, 7_000)
    client = await standing(portal)
    assert minor(client, "balance", "amount") == 7_000
    assert [minor(one, "amountDue") for one in client["invoices"]["nodes"]] == [2_000, 5_000]
    assert [one["status"] for one in client["invoices"]["nodes"]] == ["PARTIALLY_PAID", "UNPAID"]
    assert minor(client["payments"]["nodes"][0], "refunded") == 7_000
    terms = client["balance"]["terms"]
    assert sum(minor(term, "amount") for term in terms) == 7_000
    # And the rest, in another one.
    await refund(portal.till, payment_id)
    assert await dues(portal) == [10_000, 5_000]
    with pytest.raises(NotRefunded):
        await refund(portal.till, payment_id)
    # What is due again is paid again.
    assert (await portal.pay(15_000, portal.card()))["__typename"] == "PaySucceeded"
    assert await dues(portal) == [0, 0]


async def test_a_refund_in_stripes_dashboard_is_followed(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    refunded_there(portal, intent, 4_000)
    await portal.hears_all()
    assert await dues(portal) == [4_000]
    await portal.hears_all()
    assert await dues(portal) == [4_000]


async def test_or_found_by_the_daily_comparison(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    refunded_there(portal, intent, 4_000)
    assert await comparing.work(portal.till) == 1
    assert await dues(portal) == [4_000]


async def test_a_refund_that_fails_is_taken_back(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000, 5_000)
    done = await refund(portal.till, payment_id, 6_000)
    at_stripe(portal, reversals.fail, done.stripe_id)
    await portal.hears_all()
    client = await standing(portal)
    assert minor(client, "balance", "amount") == 0
    assert [one["status"] for one in client["invoices"]["nodes"]] == ["PAID", "PAID"]
    assert minor(client["payments"]["nodes"][0], "refunded") == 0
    # It is there to be given back again.
    await refund(portal.till, payment_id)
    assert await dues(portal) == [10_000, 5_000]


async def test_a_refund_gives_back_credit_before_it_touches_an_invoice(portal: Paying) -> None:
    payment_id, intent = await paid(portal, 10_000)
    # Stripe took more than was asked for: the rest is unused credit.
    with portal.store.transaction():
        told = portal.store.find(ACCOUNT, "payment_intent", intent)
        charge = portal.store.find(ACCOUNT, "charge", told["latest_charge"])
        charge["amount"] = 12_000
        portal.store.save(ACCOUNT, charge)
    async with portal.engine.begin() as rows:
        entry = LedgerEntry.__table__
        await rows.execute(entry.update().where(entry.c.payment_id == payment_id).values(
            amount_minor=-12_000))  # fmt: skip
    await refund(portal.till, payment_id, 2_000)
    assert await dues(portal) == [0]
    await refund(portal.till, payment_id, 1_000)
    assert await dues(portal) == [1_000]


@pytest.mark.parametrize("after", [False, True])
async def test_a_lost_answer_is_not_a_second_refund(portal: Paying, after: bool) -> None:
    payment_id, _ = await paid(portal, 10_000)
    portal.api.faults.append(Fault("POST refunds", 500, after=after))
    with pytest.raises(Unknown):
        await refund(portal.till, payment_id, 4_000)
    if not after:
        with pytest.raises(NotRefunded, match="nobody knows"):
            await refund(portal.till, payment_id, 3_000)
        await refund(portal.till, payment_id)
    else:
        await comparing.work(portal.till)
    assert [one["amount"] for one in portal.store.all("refund")] == [4_000]
    (row,) = await portal.all(Refund)
    assert (row.state, row.amount_minor) == (RefundState.SUCCEEDED, 4_000)
    assert await dues(portal) == [4_000]


async def test_two_operators_at_once_give_back_no_more_than_there_is(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    tried = [refund(portal.till, payment_id, 7_000) for _ in range(6)]
    await asyncio.gather(*tried, return_exceptions=True)
    assert [one["amount"] for one in portal.store.all("refund")] == [7_000]
    assert await dues(portal) == [7_000]


async def test_what_can_not_be_refunded_says_why(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    for amount in (0, -1, 10_001):
        with pytest.raises(NotRefunded):
            await refund(portal.till, payment_id, amount)
    await portal.credit(3_000)
    await portal.invoice(3_000)
    by_credit = await portal.pay(0, {"credit": True})
    with pytest.raises(NotRefunded, match="card"):
        await refund(portal.till, by_credit["payment"]["id"].removeprefix("pmt_"))
    with pytest.raises(NotRefunded, match="no such"):
        await refund(portal.till, portal.client_id)


# -- disputes --------------------------------------------------------------------------------------


async def test_a_disputed_invoice_is_due_and_not_payable(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000, 5_000)
    await portal.invoice(2_000)
    at_stripe(portal, reversals.dispute, intent, 5_000)
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
    assert (terms["ADJUSTED"], sum(terms.values())) == (5_000, 7_000)
    # What else is due can be paid meanwhile.
    assert (await portal.pay(2_000, portal.card()))["__typename"] == "PaySucceeded"
    client = await standing(portal)
    assert client["canPay"] == {"isAllowed": False, "reason": "NOTHING_TO_PAY"}


async def test_a_dispute_won_takes_it_back(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    disputed = at_stripe(portal, reversals.dispute, intent)
    await portal.hears_all()
    assert await dues(portal) == [10_000]
    at_stripe(portal, reversals.close, disputed["id"], won=True)
    await portal.hears_all()
    client = await standing(portal)
    assert minor(client, "balance", "amount") == 0
    assert [one["isDisputed"] for one in client["invoices"]["nodes"]] == [False]
    amounts = [minor(one, "amount") for one in client["accountHistory"]["nodes"]]
    assert sorted(amounts) == [-10_000, 10_000]


async def test_a_dispute_lost_leaves_it_due_and_payable(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    disputed = at_stripe(portal, reversals.dispute, intent)
    at_stripe(portal, reversals.close, disputed["id"], won=False)
    await portal.hears_all()
    client = await standing(portal)
    assert minor(client, "balance", "payable") == 10_000
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"
    assert await dues(portal) == [0]


async def test_a_card_that_is_always_disputed_is(portal: Paying) -> None:
    await portal.invoice(10_000)
    paid_ = await portal.pay(10_000, portal.card("4000000000000259"))
    assert paid_["__typename"] == "PaySucceeded"
    await portal.hears_all()
    assert await portal.count(Dispute) == 1
    assert minor(await standing(portal), "balance", "payable") == 0


# -- histories -------------------------------------------------------------------------------------

HISTORIES = 25
MOVES = ("refund", "refund", "fail", "dispute", "win", "lose")


async def history(portal: Paying, chance: random.Random, *, hears: bool) -> None:
    """Payments, and what goes back of them at Stripe; some of its events are heard at once."""
    intents = [(await paid(portal, *amounts))[1] for amounts in ((4_000, 3_000), (2_000,))]
    listening = random.Random(chance.random())
    for _ in range(chance.randrange(2, 7)):
        move(portal, chance, chance.choice(intents))
        if hears and listening.random() < 0.6:
            told = portal.store.all("event")
            await portal.hears(*listening.sample(told, min(len(told), 3)))


def move(portal: Paying, chance: random.Random, intent: str) -> None:
    charge = next(one for one in portal.store.all("charge") if one["payment_intent"] == intent)
    left = charge["amount"] - charge["amount_refunded"]
    disputes = [one for one in portal.store.all("dispute") if one["charge"] == charge["id"]]
    refunds = [one for one in portal.store.all("refund") if one["charge"] == charge["id"]]
    match chance.choice(MOVES):
        case "refund" if left and not disputes:
            refunded_there(portal, intent, chance.choice([left, max(1, left // 2)]))
        case "fail" if refunds and refunds[-1]["status"] != "failed":
            at_stripe(portal, reversals.fail, refunds[-1]["id"])
        case "dispute" if left and not disputes:
            at_stripe(portal, reversals.dispute, intent, left)
        case "win" | "lose" as end if disputes and disputes[0]["status"] == "needs_response":
            at_stripe(portal, reversals.close, disputes[0]["id"], won=end == "win")


def still_out(portal: Paying) -> int:
    """What Stripe took, net of what went back, by its own objects."""
    taken = sum(one["amount"] for one in portal.store.all("charge"))
    back = sum(one["amount"] for one in portal.store.all("refund") if one["status"] != "failed")
    held = sum(one["amount"] for one in portal.store.all("dispute") if one["status"] != "won")
    return int(taken - back - held)


async def test_histories_shuffled_and_repeated_come_to_the_same(new_database: NewDatabase) -> None:
    """Each history twice: heard bit by bit in any order, and all at the end."""
    for seed in range(HISTORIES):
        ends = []
        for hears in (True, False):
            chance = random.Random(seed)
            async with new_database() as url, paying(url) as portal:
                await history(portal, chance, hears=hears)
                told = portal.store.all("event") * 3
                random.Random(seed).shuffle(told)
                await portal.hears(*told)
                client = await standing(portal)
                charged = sum(one["amount"] for one in portal.store.all("charge"))
                assert minor(client, "balance", "amount") == charged - still_out(portal), seed
                ends.append(await net(portal))
        assert ends[0] == ends[1], seed


async def net(portal: Paying) -> dict[str, Any]:
    """What Stripe has, and what the account came to."""
    client = await standing(portal)
    nodes = client["invoices"]["nodes"]
    moved = [
        (one["object"], one["amount"], one["status"])
        for kind in ("refund", "dispute")
        for one in portal.store.all(kind)
    ]
    standings = [(one["status"], one["isDisputed"], minor(one, "amountDue")) for one in nodes]
    return {"moved": moved, "standings": standings, "payable": client["balance"]["payable"]}


async def test_an_old_event_changes_nothing_later(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    await refund(portal.till, payment_id, 4_000)
    before = await standing(portal)
    portal.clock.time += dt.timedelta(minutes=1)
    await portal.hears_all()
    after = await standing(portal)
    assert after == before
