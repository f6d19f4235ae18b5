"""The cases for which the ledger's rules were made, each through the API."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from billing.entry.commands import EntryContext, enter_for_client
from billing.entry.invoices import NewInvoice, NewLine, issue_invoice
from billing.payments.refund import refund_payment
from models import Allocation, EntryKind, LedgerEntry, Receipt
from models.ids import new_id
from sandbox import intents, reversals
from tests.support.payments import ASKS, Paying, paying
from tests.support.reversals import at_stripe, minor, paid

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]

MONEY = "{ minorUnits }"
STANDING = f"""query ($asOf: Date) {{ client {{
  balance {{ amount {MONEY} payable {MONEY} creditApplied {MONEY}
    terms {{ kind amount {MONEY} }} invoices {{ amountDue {MONEY} }} }}
  then: balance(asOf: $asOf) {{ amount {MONEY} terms {{ amount {MONEY} }} }}
  invoices(orderBy: {{field: NUMBER, direction: ASC}}) {{
    nodes {{ id status amountPaid {MONEY} amountDue {MONEY} payable {MONEY} }} }}
  accountHistory {{ nodes {{ date serviceDate paidOn postedOn kind status
    amount {MONEY} balanceChange {MONEY} balanceAfter {MONEY} }} }}
  receipts {{ nodes {{ number paidOn }} }}
}} }}"""


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def standing(portal: Paying, as_of: dt.date | None = None) -> dict[str, Any]:
    """Return the client's account, after checking that its sums tie."""
    portal.bearer = await portal.token()
    variables = {"asOf": as_of and as_of.isoformat()}
    answer = (await portal.ask(STANDING, portal.bearer, **variables)).json()
    assert "errors" not in answer, answer
    client: dict[str, Any] = answer["data"]["client"]
    balance, invoices = client["balance"], client["invoices"]["nodes"]
    funds = sum(row.amount_minor for row in await portal.all(LedgerEntry) if not row.invoice_id)
    unallocated = -funds - sum(row.amount_minor for row in await portal.all(Allocation))
    due = sum(minor(one, "amountDue") for one in invoices)
    assert unallocated >= 0
    assert minor(balance, "amount") == due - unallocated
    assert minor(balance, "amount") == sum(minor(term, "amount") for term in balance["terms"])
    listed = sum(minor(one, "amountDue") for one in balance["invoices"])
    assert minor(balance, "payable") == listed - minor(balance, "creditApplied")
    return client


def invoices(client: dict[str, Any], name: str) -> list[int]:
    return [minor(node, name) for node in client["invoices"]["nodes"]]


@pytest.mark.parametrize("taken_by", ["refund", "dispute"])
async def test_money_that_leaves_reopens_invoices_in_order(portal: Paying, taken_by: str) -> None:
    """The payment's own invoices are due again first, then those that credit paid."""
    payment_id, intent = await paid(portal, 10_000)
    # The invoice is voided and issued again; its payment is credit, and pays the new one.
    await void_first_invoice(portal)
    await portal.invoice(4_000)
    await portal.invoice(6_000)
    assert (await portal.pay(0, {"credit": True}))["__typename"] == "PaySucceeded"
    assert invoices(await standing(portal), "amountDue") == [0, 0, 0]
    if taken_by == "refund":
        await refund_payment(portal.payment_context, payment_id, 7_000)
    else:
        at_stripe(portal, reversals.open_dispute, intent, 7_000)
        await portal.hears_all()
    client = await standing(portal)
    assert invoices(client, "amountDue") == [0, 1_000, 6_000]
    assert invoices(client, "amountPaid") == [0, 3_000, 0]
    payable = 7_000 if taken_by == "refund" else 0
    assert minor(client["balance"], "payable") == payable
    await portal.invoice(5_000)
    client = await standing(portal)
    assert invoices(client, "payable")[3] == 5_000
    assert minor(client["balance"], "payable") == payable + 5_000
    if taken_by == "dispute":
        (disputed,) = portal.store.all("dispute")
        at_stripe(portal, reversals.close_dispute, disputed["id"], won=True)
        await portal.hears_all()
        assert invoices(await standing(portal), "amountDue") == [0, 0, 0, 5_000]


async def void_first_invoice(portal: Paying) -> None:
    """Insert the rows of a void: the charge is reversed, and the money is credit again."""
    (put,) = await portal.all(Allocation)
    own = {"practice_id": portal.practice_id, "client_id": portal.client_id}
    of = {"invoice_id": put.invoice_id}
    await portal.enter(EntryKind.CHARGE, -10_000, portal.client_id, reference="void 1", **of)
    back = {"payment_id": put.payment_id, "amount_minor": -10_000, "is_credit": False}
    moment = {"date": portal.clock().date(), "created_at": portal.clock()}
    await portal.insert(Allocation, own | of | back | moment | {"id": new_id()})


async def test_dispute_of_a_paid_invoice_is_not_paid_twice(portal: Paying) -> None:
    _, intent = await paid(portal, 10_000)
    at_stripe(portal, reversals.open_dispute, intent)
    await portal.hears_all()
    client = await standing(portal)
    assert (invoices(client, "amountPaid"), invoices(client, "amountDue")) == ([0], [10_000])
    assert [node["status"] for node in client["invoices"]["nodes"]] == ["UNPAID"]
    (disputed,) = portal.store.all("dispute")
    at_stripe(portal, reversals.close_dispute, disputed["id"], won=False)
    await portal.hears_all()
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"
    client = await standing(portal)
    assert (invoices(client, "amountPaid"), invoices(client, "amountDue")) == ([10_000], [0])
    assert minor(client["balance"], "amount") == 0


async def test_balance_carried_over_needs_an_invoice(portal: Paying) -> None:
    """The database refuses debt without an invoice; with one it is due and payable."""
    with pytest.raises(IntegrityError):
        await portal.enter(EntryKind.ADJUSTMENT, 20_000, portal.client_id, reference="carried over")
    await portal.invoice(20_000)
    client = await standing(portal)
    assert minor(client["balance"], "payable") == minor(client["balance"], "amount") == 20_000
    assert (await portal.pay(20_000, portal.card()))["__typename"] == "PaySucceeded"


async def test_session_of_the_past_raises_the_balance_when_it_is_invoiced(portal: Paying) -> None:
    """An invoice issued today for a session of sixty days ago is in the default history."""
    today = portal.clock().date()
    yesterday, service = today - dt.timedelta(1), today - dt.timedelta(60)
    await portal.invoice(15_000, served_on=service)
    client = await standing(portal, yesterday)
    (entry,) = client["accountHistory"]["nodes"]
    assert (entry["date"], entry["serviceDate"]) == (today.isoformat(), service.isoformat())
    assert minor(entry, "balanceAfter") == minor(client["balance"], "amount") == 15_000
    assert minor(client["then"], "amount") == 0
    assert sum(minor(term, "amount") for term in client["then"]["terms"]) == 0
    by_day = "query ($r: DateRange) { client { accountHistory(dateRange: $r) { nodes { date } } } }"
    for day in (service, today):
        range_ = {"gte": day.isoformat(), "lte": day.isoformat()}
        answer = (await portal.ask(by_day, portal.bearer, r=range_)).json()
        assert len(answer["data"]["client"]["accountHistory"]["nodes"]) == 1


async def test_two_bills_less_credit_are_what_pay_now_charges(portal: Paying) -> None:
    await portal.invoice(30_000)
    await portal.invoice(25_000)
    await portal.credit(2_500)
    client = await standing(portal)
    assert [minor(one, "amountDue") for one in client["balance"]["invoices"]] == [30_000, 25_000]
    assert minor(client["balance"], "creditApplied") == 2_500
    assert minor(client["balance"], "payable") == 52_500
    assert (await portal.pay(52_500, portal.card()))["__typename"] == "PaySucceeded"
    assert invoices(await standing(portal), "amountDue") == [0, 0]


async def test_negative_invoice_is_credit_that_another_invoice_uses(portal: Paying) -> None:
    context = EntryContext(portal.engine, portal.clock)
    own = portal.practice_id, portal.client_id
    await portal.letterhead()
    for amount in (-4_000, 10_000):
        invoice = NewInvoice([NewLine("Session", amount)])
        await enter_for_client(context, *own, issue_invoice, invoice)
    client = await standing(portal)
    assert invoices(client, "amountDue") == [0, 10_000]
    assert minor(client["balance"], "creditApplied") == 4_000
    assert minor(client["balance"], "payable") == invoices(client, "payable")[1] == 6_000
    assert (await portal.pay(6_000, portal.card()))["__typename"] == "PaySucceeded"
    client = await standing(portal)
    assert invoices(client, "amountDue") == [0, 0]
    assert invoices(client, "amountPaid")[1] == 10_000
    assert minor(client["balance"], "amount") == 0


async def test_rows_of_the_books_are_neither_changed_nor_removed(portal: Paying) -> None:
    await paid(portal, 10_000)
    before = await standing(portal)
    for table in (LedgerEntry, Allocation, Receipt):
        for change in (update(table).values(amount_minor=1), delete(table)):
            with pytest.raises(DBAPIError, match=r"append only|permission denied"):
                async with portal.engine.begin() as conn:
                    await conn.execute(change)
    assert await standing(portal) == before


async def test_payment_is_dated_by_the_day_on_which_the_money_moved(portal: Paying) -> None:
    """Stripe's event comes three days later, in the next year."""
    portal.clock.time = dt.datetime(2026, 12, 31, 20, tzinfo=dt.UTC)
    portal.bearer = await portal.token()
    await portal.invoice(10_000)
    source = portal.card(ASKS)
    begun = await portal.pay(10_000, source)
    assert begun["__typename"] == "PayRequiresAction"
    (waiting,) = portal.store.all("payment_intent")
    at_stripe(portal, intents.authenticate_intent, waiting["id"], succeed=True)
    portal.clock.time = dt.datetime(2027, 1, 3, 12, tzinfo=dt.UTC)
    await portal.hears_all()
    client = await standing(portal, dt.date(2026, 12, 31))
    (receipt,) = await portal.all(Receipt)
    assert client["receipts"]["nodes"] == [{"number": "RCP-2026-0001", "paidOn": "2026-12-31"}]
    assert receipt.issued_on == dt.date(2026, 12, 31)
    payment = next(one for one in client["accountHistory"]["nodes"] if one["kind"] == "PAYMENT")
    assert (payment["paidOn"], payment["postedOn"]) == ("2026-12-31", "2027-01-03")
    # The books of the past year were closed without it.
    assert minor(client["then"], "amount") == 10_000
