"""Refused payments: invalid, invisible, or too many attempts. Nothing is charged."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import update

from identity.tokens import Subject
from models import (
    Client,
    ContactRight,
    Payment,
    PaymentMethod,
    Practice,
)
from models.ids import new_id
from tests.support.payments import DECLINED, Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MONEY = "minorUnits"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as portal:
        yield portal


async def test_changed_amount_is_refused_and_charges_nothing(portal: Paying) -> None:
    await portal.invoice(10_000)
    refused = await portal.pay(9_999, portal.card())
    assert refused["__typename"] == "AmountChanged"
    assert (refused["expected"], refused["payable"]) == ({MONEY: 9_999}, {MONEY: 10_000})
    assert portal.store.all("payment_intent") == []
    assert await portal.count(Payment) == 0


async def test_zero_and_too_small_amounts_are_refused(portal: Paying) -> None:
    assert (await portal.pay(1_000, portal.card()))["__typename"] == "NothingToPay"
    await portal.invoice(49)
    refused = await portal.pay(49, portal.card())
    assert (refused["__typename"], refused["minimum"]) == ("AmountTooSmall", {MONEY: 50})


async def test_payment_is_refused_while_online_payments_are_off(portal: Paying) -> None:
    await portal.invoice(10_000)
    async with portal.engine.begin() as conn:
        await conn.execute(update(Practice).values(stripe_account=None))
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
async def test_invalid_input_is_reported_with_its_path(
    portal: Paying, given: dict[str, Any], path: str
) -> None:
    await portal.invoice(10_000)
    refused = await portal.sent(portal.input(10_000, portal.card()) | given)
    assert (refused["__typename"], refused["code"]) == ("InvalidInput", "INVALID_INPUT")
    assert refused["path"] == ["input", *path.split()]
    assert await portal.count(Payment) == 0


@pytest.mark.parametrize("missing", ["name", "zip"])
async def test_confirmation_token_without_name_or_zip_is_refused(
    portal: Paying, missing: str
) -> None:
    await portal.invoice(10_000)
    facts: dict[str, Any] = {missing: None}
    refused = await portal.pay(10_000, portal.card(**facts))
    assert refused["__typename"] == "InvalidInput"
    assert refused["path"] == ["input", "source", "newCard", "confirmationToken"]


async def test_expired_card_on_file_is_unusable(portal: Paying) -> None:
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card(saveCard=True, expYear=2026, expMonth=12))
    (card,) = await portal.all(PaymentMethod)
    portal.clock.time = dt.datetime(2027, 1, 2, tzinfo=dt.UTC)
    portal.bearer = await portal.token()
    await portal.invoice(2_000)
    refused = await portal.pay(2_000, {"paymentMethodId": f"crd_{card.id}"})
    assert refused["__typename"] == "CardUnusable"


async def test_client_invoice_card_and_payment_of_others_are_not_found(portal: Paying) -> None:
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


async def test_unshared_invoice_is_not_found(portal: Paying) -> None:
    hidden = await portal.invoice(10_000, shared_at=None)
    refused = await portal.pay(10_000, portal.card(), invoiceId=f"inv_{hidden}")
    assert refused["__typename"] == "NotFound"


async def test_contact_pays_only_with_the_right_to_pay(portal: Paying) -> None:
    await portal.invoice(10_000)
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    asked = portal.input(10_000, portal.card(), clientId=f"cli_{portal.client_id}")
    assert (await portal.sent(asked, guardian))["__typename"] == "NotAllowed"
    async with portal.engine.begin() as conn:
        await conn.execute(update(ContactRight).values(can_pay=True))
    assert (await portal.sent(asked, guardian))["__typename"] == "PaySucceeded"


async def test_contact_of_several_clients_has_to_name_one(portal: Paying) -> None:
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    refused = await portal.sent(portal.input(10_000, portal.card()), guardian)
    assert (refused["__typename"], refused["path"]) == ("InvalidInput", ["input", "clientId"])


async def test_dashboard_is_not_allowed_to_pay(portal: Paying) -> None:
    await portal.invoice(10_000)
    dashboard = await portal.token(Subject(portal.practice_id))
    asked = portal.input(10_000, portal.card(), clientId=f"cli_{portal.client_id}")
    answer = (await portal.ask("mutation P($i: PayInput!) { pay(input: $i) { __typename } }",
                               dashboard, i=asked)).json()  # fmt: skip
    assert answer["data"]["pay"]["__typename"] == "NotAllowed"
    assert portal.store.all("payment_intent") == []


async def test_payment_without_a_token_is_refused(portal: Paying) -> None:
    answer = await portal.ask("mutation P($i: PayInput!) { pay(input: $i) { __typename } }", None,
                              i=portal.input(10_000, portal.card()))  # fmt: skip
    assert answer.status_code == 401


# -- too many attempts -----------------------------------------------------------------------------


async def test_five_declines_in_an_hour_block_the_client(portal: Paying) -> None:
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


@pytest.mark.rest
async def test_twenty_declines_from_one_address_block_the_address(
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
