"""Paying, through the schema: what comes of each request, and what is written of it."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import update

from models import (
    Claim,
    Client,
    ContactRight,
    LedgerEntry,
    Payment,
    PaymentMethod,
    Practice,
    Receipt,
)
from models.ids import new_id
from resolvers.tokens import Subject
from sandbox import intents
from sandbox.api import Fault
from tests.paying import ASKS, DECLINED, GOOD, Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MONEY = "minorUnits"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as portal:
        yield portal


def authenticate(portal: Paying, payment: str, *, succeed: bool) -> None:
    """What the cardholder does at the bank."""
    (intent,) = (
        one
        for one in portal.store.all("payment_intent")
        if one["metadata"]["payment"] == payment.removeprefix("pmt_")
    )
    with portal.store.transaction():
        account = "acct_test"
        intents.authenticate(portal.store, account, intent["id"], succeed=succeed)


# -- what is paid ----------------------------------------------------------------------------------


async def test_the_balance_is_paid_with_credit_first_and_then_the_oldest(portal: Paying) -> None:
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


async def test_one_invoice_is_paid_and_the_other_stays(portal: Paying) -> None:
    await portal.invoice(10_000)
    second = await portal.invoice(5_000)
    paid = await portal.pay(5_000, portal.card(), invoiceId=f"inv_{second}")
    assert paid["__typename"] == "PaySucceeded"
    assert [one["invoice"]["id"] for one in paid["payment"]["allocations"]] == [f"inv_{second}"]
    assert paid["client"]["balance"]["amount"] == {MONEY: 10_000}


async def test_credit_alone_pays_where_it_covers_everything(portal: Paying) -> None:
    await portal.invoice(3_000)
    await portal.credit(4_000)
    paid = await portal.pay(0, {"credit": True})
    assert paid["__typename"] == "PaySucceeded"
    assert paid["payment"]["amount"] == {MONEY: 0}
    assert paid["client"]["balance"]["amount"] == {MONEY: -1_000}
    assert portal.charges() == []
    assert await portal.count(Receipt) == 1


async def test_after_paying_the_history_says_paid(portal: Paying) -> None:
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


async def test_a_saved_card_pays_again_and_keeps_its_consent(portal: Paying) -> None:
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card(saveCard=True))
    (card,) = await portal.all(PaymentMethod)
    assert (card.last4, card.is_default, card.billing_zip) == ("4242", True, "04101")
    assert card.consent_version
    await portal.invoice(2_500)
    paid = await portal.pay(2_500, {"paymentMethodId": f"crd_{card.id}"})
    assert paid["__typename"] == "PaySucceeded"
    assert [charge["amount"] for charge in portal.charges()] == [10_000, 2_500]


async def test_a_card_that_is_not_saved_is_kept_nowhere(portal: Paying) -> None:
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card())
    assert await portal.count(PaymentMethod) == 0
    assert portal.store.all("customer") == []


async def test_the_same_card_saved_twice_is_one(portal: Paying) -> None:
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
async def test_a_declined_card_is_a_declined_payment(
    portal: Paying, number: str, reason: str
) -> None:
    await portal.invoice(10_000)
    declined = await portal.pay(10_000, portal.card(number))
    assert (declined["__typename"], declined["code"]) == ("CardDeclined", "CARD_DECLINED")
    assert declined["reason"] == declined["payment"]["failure"]["reason"] == reason
    assert declined["payment"]["status"] == "FAILED"
    assert portal.store.all("payment_intent")[-1]["status"] == "canceled"
    assert await portal.count(Claim) == 0
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"


async def test_lost_and_stolen_cards_are_answered_like_any_other(portal: Paying) -> None:
    await portal.invoice(10_000)
    answers = []
    for number in (DECLINED, "4000000000009987", "4000000000009979", "4100000000000019"):
        declined = await portal.pay(10_000, portal.card(number))
        answers.append([declined[k] for k in ("reason", "isRetryable", "message")])
    assert answers == [answers[0]] * 4


async def test_three_d_secure_is_passed_and_then_it_is_paid(portal: Paying) -> None:
    await portal.invoice(10_000)
    waiting = await portal.pay(10_000, portal.card(ASKS))
    assert waiting["__typename"] == "PayRequiresAction"
    assert waiting["clientSecret"].startswith("pi_")
    payment = waiting["payment"]["id"]
    assert (await portal.refresh(payment))["__typename"] == "PayRequiresAction"
    authenticate(portal, payment, succeed=True)
    assert (await portal.refresh(payment))["__typename"] == "PaySucceeded"
    assert await portal.ledger_of_payments() == 10_000


async def test_three_d_secure_is_failed_and_then_it_is_declined(portal: Paying) -> None:
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    authenticate(portal, payment, succeed=False)
    declined = await portal.refresh(payment)
    assert (declined["__typename"], declined["reason"]) == ("CardDeclined", "AUTHENTICATION_FAILED")
    assert await portal.count(Claim) == 0


async def test_a_payment_that_waits_is_given_up(portal: Paying) -> None:
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    assert (await portal.cancel(payment))["__typename"] == "PayCanceled"
    assert (await portal.refresh(payment))["__typename"] == "PayCanceled"
    assert portal.charges() == []
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"


async def test_if_the_money_moved_first_giving_up_succeeds_in_paying(portal: Paying) -> None:
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    authenticate(portal, payment, succeed=True)
    assert (await portal.cancel(payment))["__typename"] == "PaySucceeded"


# -- refusals --------------------------------------------------------------------------------------


async def test_another_amount_than_the_page_showed_charges_nothing(portal: Paying) -> None:
    await portal.invoice(10_000)
    refused = await portal.pay(9_999, portal.card())
    assert refused["__typename"] == "AmountChanged"
    assert (refused["expected"], refused["payable"]) == ({MONEY: 9_999}, {MONEY: 10_000})
    assert portal.store.all("payment_intent") == []
    assert await portal.count(Payment) == 0


async def test_nothing_owed_and_too_little_are_refused(portal: Paying) -> None:
    assert (await portal.pay(1_000, portal.card()))["__typename"] == "NothingToPay"
    await portal.invoice(49)
    refused = await portal.pay(49, portal.card())
    assert (refused["__typename"], refused["minimum"]) == ("AmountTooSmall", {MONEY: 50})


async def test_where_online_payments_are_off_nobody_pays(portal: Paying) -> None:
    await portal.invoice(10_000)
    async with portal.engine.begin() as rows:
        await rows.execute(update(Practice).values(stripe_account=None))
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "OnlinePaymentsOff"


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"expectedAmount": {"amount": "100.00", "currency": "EUR"}}, "expectedAmount currency"),
        ({"expectedAmount": {"amount": "-100.00", "currency": "USD"}}, "expectedAmount amount"),
        ({"expectedAmount": {"amount": "100.001", "currency": "USD"}}, "expectedAmount amount"),
        ({"idempotencyKey": "too short"}, "idempotencyKey"),
        ({"source": {"credit": False}}, "source credit"),
        ({"source": {"credit": True}}, "source credit"),
        ({"clientId": "cli_nobody"}, "clientId"),
        ({"invoiceId": "inv_none"}, "invoiceId"),
        ({"source": {"paymentMethodId": "crd_none"}}, "source paymentMethodId"),
        ({"source": {"newCard": {"confirmationToken": "tok"}}},
         "source newCard confirmationToken"),
        ({"source": {"newCard": {"confirmationToken": "ctoken_unknown12345"}}},
         "source newCard confirmationToken"),
        ({"source": {"newCard": {"confirmationToken": "ctoken_12345678", "makeDefault": True}}},
         "source newCard makeDefault"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_by_its_path(
    portal: Paying, given: dict[str, Any], path: str
) -> None:
    await portal.invoice(10_000)
    refused = await portal.sent(portal.input(10_000, portal.card()) | given)
    assert (refused["__typename"], refused["code"]) == ("InvalidInput", "INVALID_INPUT")
    assert refused["path"] == ["input", *path.split()]
    assert await portal.count(Payment) == 0


@pytest.mark.parametrize("missing", ["name", "zip"])
async def test_a_token_without_name_or_zip_is_refused(portal: Paying, missing: str) -> None:
    await portal.invoice(10_000)
    facts: dict[str, Any] = {missing: None}
    refused = await portal.pay(10_000, portal.card(**facts))
    assert refused["__typename"] == "InvalidInput"
    assert refused["path"] == ["input", "source", "newCard", "confirmationToken"]


async def test_an_expired_card_on_file_is_unusable(portal: Paying) -> None:
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card(saveCard=True, expYear=2026, expMonth=12))
    (card,) = await portal.all(PaymentMethod)
    portal.clock.time = dt.datetime(2027, 1, 2, tzinfo=dt.UTC)
    portal.bearer = await portal.token()
    await portal.invoice(2_000)
    refused = await portal.pay(2_000, {"paymentMethodId": f"crd_{card.id}"})
    assert refused["__typename"] == "CardUnusable"


async def test_somebody_elses_client_invoice_card_and_payment_are_not_found(portal: Paying) -> None:
    theirs = await portal.invoice(10_000, portal.other_id)
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(saveCard=True)))["payment"]["id"]
    (card,) = await portal.all(PaymentMethod)
    other = await portal.token(Subject(portal.practice_id, client_id=portal.other_id))
    for given in (
        {"clientId": f"cli_{portal.other_id}"},
        {"invoiceId": f"inv_{theirs}"},
    ):
        refused = await portal.sent(portal.input(10_000, portal.card()) | given)
        assert refused["__typename"] == "NotFound"
    saved = portal.input(10_000, {"paymentMethodId": f"crd_{card.id}"})
    assert (await portal.sent(saved, other))["__typename"] == "NotFound"
    assert (await portal.refresh(payment, other))["__typename"] == "NotFound"
    assert (await portal.cancel(payment, other))["__typename"] == "NotFound"


async def test_an_invoice_that_is_not_shared_is_not_found(portal: Paying) -> None:
    hidden = await portal.invoice(10_000, shared_at=None)
    refused = await portal.pay(10_000, portal.card(), invoiceId=f"inv_{hidden}")
    assert refused["__typename"] == "NotFound"


async def test_a_contact_pays_only_with_the_right_to(portal: Paying) -> None:
    await portal.invoice(10_000)
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    asked = portal.input(10_000, portal.card(), clientId=f"cli_{portal.client_id}")
    assert (await portal.sent(asked, guardian))["__typename"] == "NotAllowed"
    async with portal.engine.begin() as rows:
        await rows.execute(update(ContactRight).values(can_pay=True))
    assert (await portal.sent(asked, guardian))["__typename"] == "PaySucceeded"


async def test_a_contact_of_several_says_which_client(portal: Paying) -> None:
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    refused = await portal.sent(portal.input(10_000, portal.card()), guardian)
    assert (refused["__typename"], refused["path"]) == ("InvalidInput", ["input", "clientId"])


async def test_a_dashboard_pays_nothing(portal: Paying) -> None:
    await portal.invoice(10_000)
    dashboard = await portal.token(Subject(portal.practice_id))
    asked = portal.input(10_000, portal.card(), clientId=f"cli_{portal.client_id}")
    answer = (await portal.ask("mutation P($i: PayInput!) { pay(input: $i) { __typename } }",
                               dashboard, i=asked)).json()  # fmt: skip
    assert answer["data"]["pay"]["__typename"] == "NotAllowed"
    assert portal.store.all("payment_intent") == []


async def test_nobody_in_particular_pays_nothing(portal: Paying) -> None:
    answer = await portal.ask("mutation P($i: PayInput!) { pay(input: $i) { __typename } }", None,
                              i=portal.input(10_000, portal.card()))  # fmt: skip
    assert answer.status_code == 401


# -- the same again, and at once -------------------------------------------------------------------


async def test_the_same_request_is_the_same_payment(portal: Paying) -> None:
    await portal.invoice(10_000)
    asked = portal.input(10_000, portal.card())
    first = await portal.sent(asked)
    # A page that lost the answer makes another token.
    again = await portal.sent(asked | {"source": portal.card()})
    assert again == first
    assert len(portal.charges()) == 1


async def test_the_same_key_for_another_request_is_refused(portal: Paying) -> None:
    invoice = await portal.invoice(10_000)
    asked = portal.input(10_000, portal.card())
    await portal.sent(asked)
    for other in ({"invoiceId": f"inv_{invoice}"}, {"source": portal.card(saveCard=True)}):
        refused = await portal.sent(asked | other)
        assert refused["__typename"] == "IdempotencyKeyReused"


async def test_one_payment_of_a_client_is_active_at_a_time(portal: Paying) -> None:
    first = await portal.invoice(10_000)
    waiting = await portal.pay(10_000, portal.card(ASKS), invoiceId=f"inv_{first}")
    second = await portal.invoice(5_000)
    refused = await portal.pay(5_000, portal.card(), invoiceId=f"inv_{second}")
    assert refused["__typename"] == "PaymentInProgress"
    assert refused["payment"]["id"] == waiting["payment"]["id"]


async def test_fifty_sends_of_one_key_are_one_charge(portal: Paying) -> None:
    await portal.invoice(10_000)
    asked = portal.input(10_000, portal.card())
    answers = await asyncio.gather(*(portal.sent(asked) for _ in range(50)))
    assert {answer["payment"]["id"] for answer in answers} == {answers[0]["payment"]["id"]}
    assert len(portal.charges()) == 1
    assert (await portal.sent(asked))["__typename"] == "PaySucceeded"


# -- what Stripe doesn't tell ----------------------------------------------------------------------


@pytest.mark.parametrize("call", ["payment_intents$", "confirm$"])
@pytest.mark.parametrize("after", [False, True])
async def test_an_answer_that_is_lost_is_not_a_failure(
    portal: Paying, call: str, after: bool
) -> None:
    await portal.invoice(10_000)
    portal.api.faults.append(Fault(call, 500, after=after))
    asked = portal.input(10_000, portal.card(saveCard=True))
    assert (await portal.sent(asked))["__typename"] == "PayProcessing"
    done = await portal.sent(asked)
    if call == "confirm$" and not after:
        # A new card's token is not used twice: the reconciler gives this payment up.
        assert done["__typename"] == "PayProcessing"
    else:
        assert done["__typename"] == "PaySucceeded"
        assert len(portal.charges()) == 1


async def test_too_many_requests_are_sent_again(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.gateway.BACKOFFS_S", (0.0, 0.0))
    await portal.invoice(10_000)
    portal.api.faults.append(Fault("payment_intents", 429, times=2))
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"


async def test_where_stripe_is_out_of_reach_nothing_is_begun(portal: Paying) -> None:
    await portal.invoice(10_000)
    asked = portal.input(10_000, portal.card())
    portal.api.faults.append(Fault("confirmation_tokens", 500))
    query = "mutation P($i: PayInput!) { pay(input: $i) { __typename } }"
    answer = (await portal.ask(query, portal.bearer, i=asked)).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert await portal.count(Payment) == 0


# -- too many attempts -----------------------------------------------------------------------------


async def test_after_five_declines_in_an_hour_stripe_is_not_asked(portal: Paying) -> None:
    await portal.invoice(10_000)
    for _ in range(5):
        assert (await portal.pay(10_000, portal.card(DECLINED)))["__typename"] == "CardDeclined"
        portal.clock.time += dt.timedelta(minutes=1)
    calls = len(portal.store.all("payment_intent"))
    refused = await portal.pay(10_000, portal.card())
    assert refused["__typename"] == "TooManyAttempts"
    assert refused["retryAt"] == "2026-03-15T13:00:00Z"
    assert len(portal.store.all("payment_intent")) == calls
    portal.clock.time = dt.datetime(2026, 3, 15, 13, 0, 1, tzinfo=dt.UTC)
    portal.bearer = await portal.token()
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"


async def test_after_twenty_declines_from_an_address_nobody_there_asks_stripe(
    portal: Paying,
) -> None:
    for _ in range(4):
        client_id = new_id()
        row = {"practice_id": portal.practice_id, "id": client_id, "name": "Cleo Vance"}
        await portal.insert(Client, row | {"created_at": portal.clock()})
        await portal.invoice(10_000, client_id)
        bearer = await portal.token(Subject(portal.practice_id, client_id=client_id))
        for _ in range(5):
            asked = portal.input(10_000, portal.card(DECLINED))
            assert (await portal.sent(asked, bearer))["__typename"] == "CardDeclined"
    await portal.invoice(10_000)
    refused = await portal.pay(10_000, portal.card())
    assert refused["__typename"] == "TooManyAttempts"


async def test_a_ledger_has_one_row_of_each_payment(portal: Paying) -> None:
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card())
    for event in portal.store.all("event") * 3:
        assert (await portal.webhook(event)).status_code == 200
    paid = [row for row in await portal.all(LedgerEntry) if row.amount_minor == -10_000]
    assert len(paid) == 1


async def test_canpay_says_the_same_beforehand(portal: Paying) -> None:
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
    assert GOOD
