"""Stripe's webhook: a signed event is stored and answered, and processed afterwards."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from models import Payment, PaymentState, StripeEvent
from sandbox import intents
from sandbox.deliveries import signature
from server.sandbox import SECRET
from tests.support.payments import ACCOUNT, ASKS, Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as portal:
        yield portal


async def charged_late(portal: Paying) -> dict[str, Any]:
    """Return Stripe's event of a payment confirmed by the cardholder and not read since."""
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card(ASKS))
    (intent,) = portal.store.all("payment_intent")
    with portal.store.transaction():
        intents.authenticate_intent(portal.store, ACCOUNT, intent["id"], succeed=True)
    return portal.store.all("event")[-1]


async def until(portal: Paying, state: PaymentState) -> None:
    for _ in range(200):
        (payment,) = await portal.all(Payment)
        if payment.state is state:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"still {payment.state}")


async def test_event_is_answered_and_processed(portal: Paying) -> None:
    event = await charged_late(portal)
    assert (await portal.webhook(event)).status_code == 200
    await until(portal, PaymentState.SUCCEEDED)
    assert await portal.ledger_of_payments() == 10_000


@pytest.mark.twins(1)
async def test_repeated_event_is_stored_once(portal: Paying) -> None:
    event = await charged_late(portal)
    answers = await asyncio.gather(*(portal.webhook(event) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert [one.id for one in await portal.all(StripeEvent)] == [event["id"]]


async def test_event_of_another_account_is_refused_with_an_alert(
    portal: Paying, caplog: pytest.LogCaptureFixture
) -> None:
    event = await charged_late(portal)
    await portal.webhook(event | {"account": "acct_other"})
    for _ in range(200):
        (kept,) = await portal.all(StripeEvent)
        if kept.handled_at is not None:
            break
        await asyncio.sleep(0.05)
    assert kept.refusal == "ACCOUNT_MISMATCH"
    assert "alert" in caplog.text
    (payment,) = await portal.all(Payment)
    assert payment.state is PaymentState.REQUIRES_ACTION


@pytest.mark.parametrize("off_s", [-301, 301, 86_400])
async def test_signature_with_a_time_too_far_off_is_refused(portal: Paying, off_s: int) -> None:
    body = json.dumps(await charged_late(portal))
    at = int((portal.clock() + dt.timedelta(seconds=off_s)).timestamp())
    headers = {"Stripe-Signature": signature(SECRET, body, at)}
    answer = await portal.http.post("/stripe/webhook", content=body, headers=headers)
    assert answer.status_code == 400
    assert await portal.all(StripeEvent) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\xfe", b'{"id": 1}', b'{"id":"evt_1","data":{"object":7}}']
)
@pytest.mark.parametrize("header", ["", "t=1", "t=x,v1=y", "v1=", "signed"])
async def test_unsigned_or_malformed_body_is_refused(
    portal: Paying, body: bytes, header: str
) -> None:
    headers = {"Stripe-Signature": header}
    if header == "signed":
        text, at = body.decode("latin-1"), int(portal.clock().timestamp())
        headers = {"Stripe-Signature": signature(SECRET, text, at)}
    answer = await portal.http.post("/stripe/webhook", content=body, headers=headers)
    assert answer.status_code == 400
    assert await portal.all(StripeEvent) == []


async def test_signature_with_another_secret_is_refused(portal: Paying) -> None:
    body = json.dumps(await charged_late(portal))
    forged = signature("whsec_other", body, int(portal.clock().timestamp()))
    headers = {"Stripe-Signature": forged}
    answer = await portal.http.post("/stripe/webhook", content=body, headers=headers)
    assert answer.status_code == 400
