"""Payments through the schema: the result of each request, and the rows and charges
that it leaves.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from billing.entry.commands import EntryContext, practice_entries
from billing.entry.number_series import NumberSeries
from models import (
    Claim,
    DocumentKind,
    LedgerEntry,
    Payment,
    PaymentMethod,
    Receipt,
)
from sandbox import intents
from sandbox.api import Fault
from tests.support.payments import ASKS, DECLINED, Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MONEY = "minorUnits"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as portal:
        yield portal


def authenticate(portal: Paying, payment: str, *, succeed: bool) -> None:
    """Let the cardholder pass or fail the bank's check."""
    (intent,) = (
        one
        for one in portal.store.all("payment_intent")
        if one["metadata"]["payment"] == payment.removeprefix("pmt_")
    )
    with portal.store.transaction():
        account = "acct_test"
        intents.authenticate_intent(portal.store, account, intent["id"], succeed=succeed)


# -- receipts --------------------------------------------------------------------------------------


async def test_receipts_are_numbered_as_the_practice_sets_it(portal: Paying) -> None:
    context = EntryContext(portal.engine, portal.clock)
    async with practice_entries(context, portal.practice_id) as entries:
        await entries.set_series(NumberSeries(DocumentKind.RECEIPT, "KT", 1001))
    await portal.invoice(5_000)
    await portal.pay(5_000, portal.card())
    (receipt,) = await portal.all(Receipt)
    year = receipt.issued_on.year
    assert (receipt.number, receipt.serial) == (f"KT-{year}-1001", 1001)


# -- amounts ---------------------------------------------------------------------------------------


async def test_balance_is_paid_with_credit_first_and_the_oldest_invoice_first(
    portal: Paying,
) -> None:
    first, second = await portal.invoice(10_000), await portal.invoice(5_000)
    await portal.credit(2_000)
    paid = await portal.pay(13_000, portal.card())
    assert paid["__typename"] == "PaySucceeded"
    assert paid["payment"]["status"] == "SUCCEEDED"
    assert paid["payment"]["amount"] == {MONEY: 13_000}
    assert paid["payment"]["allocations"] == [
        {"invoice": {"id": f"inv_{first}"}, "amount": {MONEY: 10_000}},
        {"invoice": {"id": f"inv_{second}"}, "amount": {MONEY: 5_000}},
    ]
    assert paid["payment"]["receipt"] == {"number": "RCP-2026-0001", "amount": {MONEY: 13_000}}
    assert paid["client"]["balance"]["amount"] == {MONEY: 0}
    assert [charge["amount"] for charge in portal.charges()] == [13_000]
    assert await portal.count(Claim) == 0


async def test_result_is_read_by_one_statement_after_the_commit(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    await portal.invoice(10_000)
    people = portal.reads.people
    row, asked = people.row, []

    async def counted(sql: str, *given: Any) -> Any:
        asked.append((sql, await portal.count(Receipt)))
        return await row(sql, *given)

    monkeypatch.setattr(people, "row", counted)
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"
    # The token was looked up before the payment; the result's statement ran after it.
    assert [receipts for _, receipts in asked] == [0, 1]


async def test_one_invoice_is_paid_and_the_other_stays_due(portal: Paying) -> None:
    await portal.invoice(10_000)
    second = await portal.invoice(5_000)
    paid = await portal.pay(5_000, portal.card(), invoiceId=f"inv_{second}")
    assert paid["__typename"] == "PaySucceeded"
    assert [one["invoice"]["id"] for one in paid["payment"]["allocations"]] == [f"inv_{second}"]
    assert paid["client"]["balance"]["amount"] == {MONEY: 10_000}


async def test_credit_alone_pays_if_it_covers_everything(portal: Paying) -> None:
    await portal.invoice(3_000)
    await portal.credit(4_000)
    paid = await portal.pay(0, {"credit": True})
    assert paid["__typename"] == "PaySucceeded"
    assert paid["payment"]["amount"] == {MONEY: 0}
    assert paid["client"]["balance"]["amount"] == {MONEY: -1_000}
    assert portal.charges() == []
    assert await portal.count(Receipt) == 1


async def test_paid_invoice_is_paid_in_the_account_history(portal: Paying) -> None:
    await portal.invoice(10_000)
    history = (
        "{ client { accountHistory(dateRange: {}) { nodes { kind status amount { amount } } } } }"
    )
    await portal.pay(10_000, portal.card())
    answer = (await portal.ask(history, portal.bearer)).json()
    entries = answer["data"]["client"]["accountHistory"]["nodes"]
    assert [(one["kind"], one["status"], one["amount"]["amount"]) for one in entries] == [
        ("PAYMENT", "PAID", "-100.00"),
        ("CHARGE", "PAID", "100.00"),
    ]


async def test_saved_card_pays_again_and_keeps_its_consent(portal: Paying) -> None:
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card(saveCard=True))
    (card,) = await portal.all(PaymentMethod)
    assert (card.last4, card.is_default, card.billing_zip) == ("4242", True, "04101")
    assert card.consent_version
    await portal.invoice(2_500)
    paid = await portal.pay(2_500, {"paymentMethodId": f"crd_{card.id}"})
    assert paid["__typename"] == "PaySucceeded"
    assert [charge["amount"] for charge in portal.charges()] == [10_000, 2_500]


async def test_card_without_consent_is_not_stored(portal: Paying) -> None:
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card())
    assert await portal.count(PaymentMethod) == 0
    assert portal.store.all("customer") == []


async def test_same_card_saved_twice_is_one(portal: Paying) -> None:
    for expires in (2030, 2032):
        await portal.invoice(1_000)
        await portal.pay(1_000, portal.card(saveCard=True, expYear=expires))
    (card,) = await portal.all(PaymentMethod)
    assert (card.exp_year, card.is_default) == (2032, True)


# -- declines and 3-D Secure -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (DECLINED, "GENERIC"),
        ("4000000000009995", "INSUFFICIENT_FUNDS"),
        ("4000000000009987", "GENERIC"),
        ("4000000000009979", "GENERIC"),
        ("4100000000000019", "GENERIC"),
        ("4000000000000069", "EXPIRED_CARD"),
        ("4000000000000127", "INCORRECT_CVC"),
    ],
)
async def test_declined_card_declines_the_payment(portal: Paying, number: str, reason: str) -> None:
    await portal.invoice(10_000)
    declined = await portal.pay(10_000, portal.card(number))
    assert (declined["__typename"], declined["code"]) == ("CardDeclined", "CARD_DECLINED")
    assert declined["reason"] == declined["payment"]["failure"]["reason"] == reason
    assert declined["payment"]["status"] == "FAILED"
    assert portal.store.all("payment_intent")[-1]["status"] == "canceled"
    assert await portal.count(Claim) == 0
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"


async def test_lost_and_stolen_cards_get_the_generic_reason(portal: Paying) -> None:
    await portal.invoice(10_000)
    answers = []
    for number in (DECLINED, "4000000000009987", "4000000000009979", "4100000000000019"):
        declined = await portal.pay(10_000, portal.card(number))
        answers.append([declined[k] for k in ("reason", "isRetryable", "message")])
    assert answers == [answers[0]] * 4


async def test_passed_3d_secure_completes_the_payment(portal: Paying) -> None:
    await portal.invoice(10_000)
    waiting = await portal.pay(10_000, portal.card(ASKS))
    assert waiting["__typename"] == "PayRequiresAction"
    assert waiting["clientSecret"].startswith("pi_")
    payment = waiting["payment"]["id"]
    assert (await portal.refresh(payment))["__typename"] == "PayRequiresAction"
    authenticate(portal, payment, succeed=True)
    assert (await portal.refresh(payment))["__typename"] == "PaySucceeded"
    assert await portal.ledger_of_payments() == 10_000


async def test_failed_3d_secure_declines_the_payment(portal: Paying) -> None:
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    authenticate(portal, payment, succeed=False)
    declined = await portal.refresh(payment)
    assert (declined["__typename"], declined["reason"]) == ("CardDeclined", "AUTHENTICATION_FAILED")
    assert await portal.count(Claim) == 0


async def test_waiting_payment_can_be_canceled(portal: Paying) -> None:
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    assert (await portal.cancel(payment))["__typename"] == "PayCanceled"
    assert (await portal.refresh(payment))["__typename"] == "PayCanceled"
    assert portal.charges() == []
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"


async def test_cancel_after_the_charge_returns_a_succeeded_payment(portal: Paying) -> None:
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    authenticate(portal, payment, succeed=True)
    assert (await portal.cancel(payment))["__typename"] == "PaySucceeded"


# -- repeated and concurrent requests --------------------------------------------------------------


async def test_repeated_request_is_the_same_payment(portal: Paying) -> None:
    await portal.invoice(10_000)
    asked = portal.input(10_000, portal.card())
    first = await portal.sent(asked)
    # A page that lost the response makes another token.
    again = await portal.sent(asked | {"source": portal.card()})
    assert again == first
    assert len(portal.charges()) == 1


async def test_same_key_for_another_request_is_refused(portal: Paying) -> None:
    invoice = await portal.invoice(10_000)
    asked = portal.input(10_000, portal.card())
    await portal.sent(asked)
    for other in ({"invoiceId": f"inv_{invoice}"}, {"source": portal.card(saveCard=True)}):
        refused = await portal.sent(asked | other)
        assert refused["__typename"] == "IdempotencyKeyReused"


async def test_client_has_one_active_payment_at_a_time(portal: Paying) -> None:
    first = await portal.invoice(10_000)
    waiting = await portal.pay(10_000, portal.card(ASKS), invoiceId=f"inv_{first}")
    second = await portal.invoice(5_000)
    refused = await portal.pay(5_000, portal.card(), invoiceId=f"inv_{second}")
    assert refused["__typename"] == "PaymentInProgress"
    assert refused["payment"]["id"] == waiting["payment"]["id"]


@pytest.mark.twins(1)
async def test_fifty_requests_with_one_key_are_one_charge(portal: Paying) -> None:
    await portal.invoice(10_000)
    asked = portal.input(10_000, portal.card())
    answers = await asyncio.gather(*(portal.sent(asked) for _ in range(50)))
    assert {answer["payment"]["id"] for answer in answers} == {answers[0]["payment"]["id"]}
    assert len(portal.charges()) == 1
    assert (await portal.sent(asked))["__typename"] == "PaySucceeded"


# -- lost responses of Stripe ----------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
async def test_lost_response_of_the_confirmation_is_not_a_failure(
    portal: Paying, after: bool
) -> None:
    await portal.invoice(10_000)
    portal.api.faults.append(Fault("confirm$", 500, after=after))
    asked = portal.input(10_000, portal.card(saveCard=True))
    assert (await portal.sent(asked))["__typename"] == "PayProcessing"
    done = await portal.sent(asked)
    if after:
        assert done["__typename"] == "PaySucceeded"
        assert len(portal.charges()) == 1
    else:
        # A new card's token is not used twice: the reconciler cancels this payment.
        assert done["__typename"] == "PayProcessing"


@pytest.mark.share(4)
@pytest.mark.parametrize(
    "fault",
    [
        *(Fault("CALL", drop=True, after=after) for after in (False, True)),
        *(Fault("CALL", 500, after=after) for after in (False, True)),
        *(Fault("CALL", status, times=2) for status in (503, 409, 429)),
        Fault("CALL", 429, code="lock_timeout"),
        Fault("CALL", twice=True),
    ],
    ids=str,
)
@pytest.mark.parametrize("call", ["POST payment_intents$", "POST customers$", "GET confirmation"])
async def test_lost_response_of_another_call_is_requested_again(
    portal: Paying, monkeypatch: pytest.MonkeyPatch, call: str, fault: Fault
) -> None:
    """The payment goes on, although a server error is saved under its key for a day."""
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0, 0.0))
    await portal.invoice(10_000)
    portal.api.faults.append(dataclasses.replace(fault, matches=call))
    done = await portal.pay(10_000, portal.card(saveCard=True))
    assert done["__typename"] == "PaySucceeded"
    assert len(portal.charges()) == 1
    assert all(one.times == 0 for one in portal.api.faults)


async def test_lost_response_of_the_fence_is_requested_again(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0, 0.0))
    await portal.invoice(10_000)
    portal.api.faults.append(Fault("cancel$", 500, times=2))
    assert (await portal.pay(10_000, portal.card(DECLINED)))["__typename"] == "CardDeclined"


async def test_rate_limited_call_is_repeated(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0))
    await portal.invoice(10_000)
    portal.api.faults.append(Fault("payment_intents", 429, times=2))
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"


async def test_no_payment_begins_while_stripe_is_out_of_reach(portal: Paying) -> None:
    await portal.invoice(10_000)
    asked = portal.input(10_000, portal.card())
    portal.api.faults.append(Fault("confirmation_tokens", 503, times=4))
    query = "mutation P($i: PayInput!) { pay(input: $i) { __typename } }"
    answer = (await portal.ask(query, portal.bearer, i=asked)).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert await portal.count(Payment) == 0


async def test_repeated_events_leave_one_ledger_entry(portal: Paying) -> None:
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card())
    for event in portal.store.all("event") * 3:
        assert (await portal.webhook(event)).status_code == 200
    paid = [row for row in await portal.all(LedgerEntry) if row.amount_minor == -10_000]
    assert len(paid) == 1


async def test_can_pay_predicts_the_refusal(portal: Paying) -> None:
    can_pay = "{ client { canPay { isAllowed reason } } }"

    async def reason() -> Any:
        answer = (await portal.ask(can_pay, portal.bearer)).json()
        return answer["data"]["client"]["canPay"]["reason"]

    assert await reason() == "NOTHING_TO_PAY"
    await portal.invoice(49)
    assert await reason() == "AMOUNT_TOO_SMALL"
    await portal.invoice(10_000)
    assert await reason() is None
    await portal.pay(10_049, portal.card(ASKS))
    assert await reason() == "PAYMENT_IN_PROGRESS"
