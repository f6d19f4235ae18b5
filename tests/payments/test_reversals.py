"""Refunds and disputes: the account is the same for every source and order of the
reports on them.
"""

import asyncio
import datetime as dt
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete, update

from billing.payments import daily_comparison, webhook_inbox
from billing.payments.refund import NotRefunded, refund_payment
from billing.stripe.objects import hint
from models import Client, Dispute, LedgerEntry, Refund, RefundState, StripeEvent
from models.ids import new_id
from sandbox import reversals
from tests.conftest import SEED
from tests.support import shares
from tests.support.payments import ACCOUNT, Paying, paying
from tests.support.unprotected import unprotected

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]

STANDING = """{ client {
  balance { amount { minorUnits } payable { minorUnits } terms { kind amount { minorUnits } } }
  canPay { isAllowed reason }
  invoices(orderBy: {field: NUMBER, direction: ASC}) {
    nodes { id status isDisputed amountPaid { minorUnits } amountDue { minorUnits }
      payable { minorUnits } } }
  payments { nodes { refunded { minorUnits } } }
  accountHistory(kind: [REFUND, DISPUTE]) { nodes { kind description amount { minorUnits } } }
} }"""


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def paid(portal: Paying, *amounts: int) -> tuple[str, str]:
    """Pay new invoices of these amounts; return the ids of the payment and of its PaymentIntent."""
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
    return str(at_stripe(portal, reversals.create_refund, params)["id"])


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


# -- histories -------------------------------------------------------------------------------------

# On each database; set HISTORIES=1000 for more.
HISTORIES = int(os.environ.get("HISTORIES", shares.number(12, quick=1)))
MOVES = ("refund", "refund", "fail", "dispute", "win", "lose")


@pytest.mark.campaign
async def test_histories_with_shuffled_and_repeated_events_end_alike(portal: Paying) -> None:
    """Each history is played twice, by a client of its own: with events in any order as they
    happen, and with all events at the end.
    """
    for seed in range(SEED, SEED + HISTORIES):
        ends = []
        for hears in (True, False):
            await another_client(portal)
            played = await history(portal, random.Random(seed), hears=hears)
            told = played.events() * 3
            random.Random(seed).shuffle(told)
            await played.hears(told)
            ends.append(await played.end())
            await forget_events(portal)
        assert ends[0] == ends[1], seed


async def another_client(portal: Paying) -> None:
    portal.client_id = new_id()
    own = {"practice_id": portal.practice_id, "id": portal.client_id}
    await portal.insert(Client, own | {"name": "Cleo Vance", "created_at": portal.clock()})
    portal.bearer = await portal.token()


async def forget_events(portal: Paying) -> None:
    """Delete events here and at the double, so that a history does not list those of all before."""
    async with portal.engine.begin() as conn:
        await conn.execute(delete(StripeEvent))
    with portal.store.transaction():
        portal.store.connection.execute("DELETE FROM object WHERE kind = 'event'")


@dataclass
class History:
    """The payments of one client, and Stripe's objects of them."""

    portal: Paying
    intents: list[str]

    def all(self, kind: str) -> list[dict[str, Any]]:
        found = self.portal.store.all(kind)
        return [one for one in found if one["payment_intent"] in self.intents]

    def events(self) -> list[dict[str, Any]]:
        def about(event: dict[str, Any]) -> Any:
            told = event["data"]["object"]
            return told["id"] if told["object"] == "payment_intent" else told.get("payment_intent")

        return [one for one in self.portal.store.all("event") if about(one) in self.intents]

    async def hears(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            await webhook_inbox.receive(self.portal.payment_context, hint(event))
        await self.portal.hears()

    async def end(self) -> dict[str, Any]:
        """Return Stripe's amounts and the account's, after checking that they match."""
        client = await standing(self.portal)
        nodes = client["invoices"]["nodes"]
        standings = [(one["status"], one["isDisputed"], minor(one, "amountDue")) for one in nodes]
        taken = sum(one["amount"] for one in self.all("charge"))
        assert minor(client, "balance", "amount") == taken - self.still_out()
        assert sum(due for _, _, due in standings) == minor(client, "balance", "amount")
        payable = sum(due for _, is_disputed, due in standings if not is_disputed)
        assert minor(client, "balance", "payable") == payable
        moved = [
            (one["object"], one["amount"], one["status"])
            for one in (*self.all("refund"), *self.all("dispute"))
        ]
        return {"moved": moved, "standings": standings}

    def still_out(self) -> int:
        """Return the amount that Stripe captured, less refunds and disputes."""
        taken = sum(one["amount"] for one in self.all("charge"))
        back = sum(one["amount"] for one in self.all("refund") if one["status"] != "failed")
        held = sum(one["amount"] for one in self.all("dispute") if one["status"] != "won")
        return int(taken - back - held)


async def history(portal: Paying, chance: random.Random, *, hears: bool) -> History:
    """Make payments, refunds and disputes at Stripe, and deliver some of the events at once."""
    intents = [(await paid(portal, *amounts))[1] for amounts in ((4_000, 3_000), (2_000,))]
    played, listening = History(portal, intents), random.Random(chance.random())
    for _ in range(chance.randrange(2, 7)):
        move(played, chance, chance.choice(intents))
        if hears and listening.random() < 0.6:
            told = played.events()
            await played.hears(listening.sample(told, min(len(told), 3)))
    return played


def move(played: History, chance: random.Random, intent: str) -> None:
    portal = played.portal
    charge = next(one for one in played.all("charge") if one["payment_intent"] == intent)
    left = charge["amount"] - charge["amount_refunded"]
    disputes = [one for one in played.all("dispute") if one["charge"] == charge["id"]]
    refunds = [one for one in played.all("refund") if one["charge"] == charge["id"]]
    match chance.choice(MOVES):
        case "refund" if left and not disputes:
            refunded_there(portal, intent, chance.choice([left, max(1, left // 2)]))
        case "fail" if refunds and refunds[-1]["status"] != "failed":
            at_stripe(portal, reversals.fail_refund, refunds[-1]["id"])
        case "dispute" if left and not disputes:
            at_stripe(portal, reversals.open_dispute, intent, left)
        case "win" | "lose" as end if disputes and disputes[0]["status"] == "needs_response":
            at_stripe(portal, reversals.close_dispute, disputes[0]["id"], won=end == "win")


async def test_old_event_changes_nothing(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    await refund_payment(portal.payment_context, payment_id, 4_000)
    before = await standing(portal)
    portal.clock.time += dt.timedelta(minutes=1)
    await portal.hears_all()
    after = await standing(portal)
    assert after == before


async def test_repeated_event_leaves_later_credit_unallocated(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    await refund_payment(portal.payment_context, payment_id, 4_000)
    await portal.credit(1_000)
    before = await standing(portal)
    assert await dues(portal) == [4_000]
    portal.clock.time += dt.timedelta(minutes=1)
    await portal.hears_all()
    assert await standing(portal) == before
