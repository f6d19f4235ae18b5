"""Amounts are sent in Stripe's units of each currency, and refused with a reason."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from billing.money import currency_digits
from billing.payments.refund import NotRefunded, refund_payment
from billing.payments.reversals import reverse
from billing.stripe import currencies
from billing.stripe.currencies import NotChargeable, from_stripe, to_stripe
from models import Payment, PaymentState, Practice, Refund
from sandbox import currencies as stripes
from sandbox import reversals
from sandbox.api import Fault
from sandbox.errors import StripeError
from tests.support.payments import Paying, paying
from tests.support.reversals import at_stripe

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# A currency, an amount in ISO's minor units, the same in Stripe's, and a part of each.
AMOUNTS = [
    ("USD", 12_345, 12_345, 1_000, 1_000),
    ("JPY", 12_345, 12_345, 1_000, 1_000),
    ("ISK", 12_345, 1_234_500, 1_000, 100_000),
    ("UGX", 12_345, 1_234_500, 1_000, 100_000),
    ("MGA", 1_234_500, 12_345, 100_000, 1_000),
    ("KWD", 12_340, 12_340, 1_000, 1_000),
    ("HUF", 1_234_500, 1_234_500, 100_000, 100_000),
]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def priced_in(portal: Paying, currency: str) -> None:
    async with portal.engine.begin() as conn:
        await conn.execute(update(Practice).values(currency=currency))
    portal.bearer = await portal.token()


async def pay(portal: Paying, minor: int, currency: str, key: str = "a key for one click") -> Any:
    places = currency_digits(currency)
    text = f"{minor / 10**places:.{places}f}"
    asked = {"expectedAmount": {"amount": text, "currency": currency}, "idempotencyKey": key}
    return await portal.sent(asked | {"source": portal.card()})


@pytest.mark.parametrize(("currency", "minor", "units", "part", "part_units"), AMOUNTS)
async def test_payment_and_refund_are_sent_in_stripes_units(
    portal: Paying, currency: str, minor: int, units: int, part: int, part_units: int
) -> None:
    await priced_in(portal, currency)
    await portal.invoice(minor)
    done = await pay(portal, minor, currency)
    assert done["__typename"] == "PaySucceeded", done
    assert done["payment"]["amount"] == {"minorUnits": minor}
    assert [charge["amount"] for charge in portal.charges()] == [units]
    assert await portal.ledger_of_payments() == minor
    payment_id = done["payment"]["id"].removeprefix("pmt_")
    given = await refund_payment(portal.payment_context, payment_id, part)
    assert given.amount_minor == part
    assert [one["amount"] for one in portal.store.all("refund")] == [part_units]
    (intent,) = portal.store.all("payment_intent")
    at_stripe(portal, reversals.open_dispute, intent["id"], units - part_units)
    await reverse(portal.payment_context, portal.practice_id, payment_id)
    query = "{ client { balance { amount { minorUnits } } } }"
    answer = (await portal.ask(query, portal.bearer)).json()
    assert answer["data"]["client"]["balance"]["amount"] == {"minorUnits": minor}


@pytest.mark.parametrize(
    ("currency", "minor", "told"),
    [
        ("NOK", 200, ("AmountTooSmall", {"minimum": {"minorUnits": 300}})),
        ("USD", 1_234_567_890, ("AmountTooLarge", {"maximum": {"minorUnits": 99_999_999}})),
        ("ISK", 1_000_000, ("AmountTooLarge", {"maximum": {"minorUnits": 999_999}})),
        ("KWD", 5_124, ("InvalidInput", {"path": ["input", "expectedAmount", "amount"]})),
        ("MGA", 100_050, ("InvalidInput", {"path": ["input", "expectedAmount", "amount"]})),
        ("CUP", 10_000, ("OnlinePaymentsOff", {})),
    ],
)
async def test_amount_that_can_not_be_charged_is_refused_with_its_reason(
    portal: Paying, currency: str, minor: int, told: tuple[str, dict[str, Any]]
) -> None:
    await priced_in(portal, currency)
    await portal.invoice(minor)
    refused = await pay(portal, minor, currency)
    assert refused["__typename"] == told[0], refused
    assert all(refused[name] == value for name, value in told[1].items())
    assert await portal.count(Payment) == 0
    assert portal.store.all("payment_intent") == []


@pytest.mark.parametrize(
    ("guard", "minor", "told"),
    [
        ("smallest_charge", 20, ("AmountTooSmall", {"minimum": {"minorUnits": 50}})),
        ("largest_charge", 10**9, ("AmountTooLarge", {"maximum": {"minorUnits": 99_999_999}})),
    ],
)
async def test_amount_refused_by_stripe_is_refused_with_its_reason(
    portal: Paying,
    monkeypatch: pytest.MonkeyPatch,
    guard: str,
    minor: int,
    told: tuple[str, dict[str, Any]],
) -> None:
    """Stripe's minimum differs if the practice's bank account has another currency."""
    await portal.invoice(minor)
    with monkeypatch.context() as patch:
        patch.setattr(currencies, guard, lambda _: minor)
        refused = await pay(portal, minor, "USD")
    again = await pay(portal, minor, "USD")
    assert (refused["__typename"], again["__typename"]) == (told[0], told[0])
    assert all(again[name] == value for name, value in told[1].items())
    (row,) = await portal.all(Payment)
    assert (row.state, row.stripe_id) == (PaymentState.CANCELED, None)


@pytest.mark.parametrize("status", [400, 402])
async def test_unexpected_refusal_is_reported_and_alerts_the_operator(
    portal: Paying, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    await portal.invoice(10_000)
    portal.api.faults.append(Fault("POST payment_intents$", status, code="testmode_charges_only"))
    refused = await pay(portal, 10_000, "USD")
    assert (refused["__typename"], refused["code"]) == (
        "PaymentsUnavailable",
        "PAYMENTS_UNAVAILABLE",
    )
    alerts = [one.getMessage() for one in caplog.records if "alert" in one.getMessage()]
    assert any("testmode_charges_only" in alert for alert in alerts)
    # With another idempotency key the same payment is tried again.
    assert (await pay(portal, 10_000, "USD", "another key for a click"))["__typename"] == (
        "PaySucceeded"
    )


@pytest.mark.parametrize(("currency", "part"), [("KWD", 1_234), ("MGA", 1_250)])
async def test_refund_between_two_steps_is_refused_without_a_row(
    portal: Paying, currency: str, part: int
) -> None:
    """A row would stay unfinished for ever, and no other refund could begin."""
    await priced_in(portal, currency)
    await portal.invoice(1_234_500)
    done = await pay(portal, 1_234_500, currency)
    payment_id = done["payment"]["id"].removeprefix("pmt_")
    with pytest.raises(NotRefunded, match="in steps of"):
        await refund_payment(portal.payment_context, payment_id, part)
    assert await portal.count(Refund) == 0
    await refund_payment(portal.payment_context, payment_id, 10 * part)
    assert (
        await refund_payment(portal.payment_context, payment_id)
    ).amount_minor == 1_234_500 - 10 * part


# -- the table itself ------------------------------------------------------------------------------


@given(currency=st.sampled_from(sorted(currencies.SUPPORTED)), minor=st.integers(1, 10**11))
def test_accepted_amounts_convert_to_stripes_units_and_back(currency: str, minor: int) -> None:
    """The double has a table of its own, written independently."""
    increment = currencies.increment(currency)
    try:
        units = to_stripe(minor, currency)
    except NotChargeable:
        assert minor % increment
        return
    assert minor % increment == 0
    assert from_stripe(units, currency) == minor
    fits = currencies.smallest_charge(currency) <= minor <= currencies.largest_charge(currency)
    try:
        stripes.check_amount(units, currency.lower())
    except StripeError:
        assert not fits
    else:
        assert fits or minor < currencies.smallest_charge(currency)


def test_supported_currencies_are_stripes() -> None:
    assert {one.lower() for one in currencies.SUPPORTED} == stripes.SUPPORTED
