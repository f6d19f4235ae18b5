"""The double is as strict as Stripe: invalid parameters, saved responses, API keys and accounts."""

import asyncio
from typing import Any

import pytest

from billing.stripe import currencies as gateway
from sandbox import access
from sandbox import currencies as stripes
from sandbox.faults import Fault
from sandbox.idempotency import LIFETIME_S
from tests.support.payments import ACCOUNT, DECLINED
from tests.support.stripe_double import USD, Double, told

DAY_S = 24 * 60 * 60


# -- parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"amout": "1"}, "parameter_unknown", "amout"),
        ({"metadata": "x"}, None, "metadata"),
        ({"payment_method_types[0]": "carrd"}, None, "payment_method_types[0]"),
        ({"amount": "10.5"}, "parameter_invalid_integer", "amount"),
        ({"amount": "9" * 40}, "parameter_invalid_integer", "amount"),
        ({"amount": ""}, "parameter_invalid_integer", "amount"),
        ({"customer": ""}, "parameter_invalid_empty", "customer"),
        ({"customer": "cus_none"}, "resource_missing", "customer"),
        ({"setup_future_usage": "later"}, None, "setup_future_usage"),
        ({"expand[0]": "charges"}, None, "expand"),
        ({"automatic_payment_methods[enabld]": "true"}, "parameter_unknown", None),
    ],
)
async def test_parameter_invalid_at_stripe_is_refused(
    double: Double, params: dict[str, str], code: str | None, param: str | None
) -> None:
    answer = await double.ask("POST", "payment_intents", USD | params)
    assert told(answer)[:2] == (400, code)
    assert param is None or told(answer)[2] == param
    assert answer[1]["error"]["type"] == "invalid_request_error"
    assert double.store.all("payment_intent") == []


@pytest.mark.parametrize("name", ["amount", "currency"])
async def test_missing_parameter_is_refused(double: Double, name: str) -> None:
    params = {key: value for key, value in USD.items() if key != name}
    answer = await double.ask("POST", "payment_intents", params)
    assert told(answer) == (400, "parameter_missing", name)


async def test_other_releases_and_paths_are_refused(double: Double) -> None:
    status, _ = await double.ask("GET", "account", Stripe_Version="2026-10-28.endive")
    assert status == 400
    assert (await double.ask("GET", "payouts"))[0] == 404
    assert (await double.ask("GET", "account"))[0] == 200


async def test_redirecting_intent_needs_a_return_url(
    double: Double,
) -> None:
    """Without named types of payment methods, the dashboard's defaults allow redirects."""
    status, made = await double.ask("POST", "payment_intents", {"amount": "900", "currency": "eur"})
    assert status == 200
    assert made["automatic_payment_methods"] == {"allow_redirects": "always", "enabled": True}
    status, answer = await double.confirm(made["id"])
    assert (status, "return_url" in answer["error"]["message"]) == (400, True)


# -- amounts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        (49, "usd", "amount_too_small"),
        (50, "usd", None),
        (299, "nok", "amount_too_small"),
        (300, "nok", None),
        (99_999_999, "usd", None),
        (100_000_000, "usd", "amount_too_large"),
        (50, "jpy", None),
        (10_001, "kwd", "invalid_charge_amount_no_decimal_compatible"),
        (10_010, "kwd", None),
        (50_050, "isk", "invalid_charge_amount_no_decimal_compatible"),
        (50_000, "ugx", None),
        (17_500, "huf", None),
        (150, "twd", None),
        (10_000, "irr", "unsupported"),
    ],
)
async def test_minimum_and_maximum_amounts_are_stripes(
    double: Double, amount: int, currency: str, code: str | None
) -> None:
    params = USD | {"amount": str(amount), "currency": currency}
    answer = await double.ask("POST", "payment_intents", params)
    if code is None:
        assert answer[0] == 200
    elif code == "unsupported":
        assert told(answer) == (400, None, "currency")
    else:
        assert told(answer) == (400, code, "amount")


def test_gateway_and_double_have_the_same_currencies() -> None:
    """Two transcriptions of one page of documentation, so that a slip in one of them shows."""

    def small(codes: Any) -> set[str]:
        return {code.lower() for code in codes}

    assert small(gateway.SUPPORTED) == stripes.SUPPORTED
    assert small(gateway.ZERO_DECIMAL) == stripes.ZERO_DECIMAL
    assert small(gateway.THREE_DECIMAL) == stripes.THREE_DECIMAL
    assert small(gateway.WHOLE) == stripes.WHOLE_ONLY
    assert gateway.LARGEST == stripes.MAXIMUM
    in_stripes_units = {
        code.lower(): gateway.to_stripe(minor, code) for code, minor in gateway.MINIMUM.items()
    }
    assert in_stripes_units == stripes.MINIMA


# -- idempotency keys ------------------------------------------------------------------------------


async def test_first_response_to_a_key_is_repeated_for_a_day(double: Double) -> None:
    first = await double.keyed("k", "payment_intents", **USD)
    double.time += LIFETIME_S - 1
    assert await double.keyed("k", "payment_intents", **USD) == first
    double.time += 1
    second = await double.keyed("k", "payment_intents", **USD)
    assert second[1]["id"] != first[1]["id"]
    assert LIFETIME_S == DAY_S


async def test_refusals_and_declines_are_saved(double: Double) -> None:
    params = USD | {"customer": "cus_none"}
    first = await double.keyed("k", "payment_intents", **params)
    assert first[0] == 400
    double.store.new(ACCOUNT, "customer", "cus", id="cus_none")
    assert await double.keyed("k", "payment_intents", **params) == first
    intent, token = await double.intent(), double.token(DECLINED)
    path = f"payment_intents/{intent}/confirm"
    declined = await double.keyed("c", path, confirmation_token=token)
    assert declined[0] == 402
    assert await double.keyed("c", path, confirmation_token=token) == declined
    assert len(double.store.all("charge")) == 1


@pytest.mark.parametrize("after", [False, True])
async def test_500_is_saved_before_and_after_the_work(double: Double, after: bool) -> None:
    double.api.faults.append(Fault("payment_intents$", 500, after=after))
    first = await double.keyed("k", "payment_intents", **USD)
    assert first[0] == 500
    assert await double.keyed("k", "payment_intents", **USD) == first
    assert len(double.store.all("payment_intent")) == after
    assert (await double.keyed("k-2", "payment_intents", **USD))[0] == 200
    double.hold()


@pytest.mark.parametrize("status", [409, 429, 502, 503, 504])
async def test_responses_from_outside_the_endpoint_are_not_saved(
    double: Double, status: int
) -> None:
    double.api.faults.append(Fault("payment_intents$", status))
    assert (await double.keyed("k", "payment_intents", **USD))[0] == status
    assert (await double.keyed("k", "payment_intents", **USD))[0] == 200
    double.hold()


async def test_invalid_parameter_is_not_saved(double: Double) -> None:
    refused = await double.keyed("k", "payment_intents", **USD, amout="1")
    assert refused[0] == 400
    assert (await double.keyed("k", "payment_intents", **USD))[0] == 200


async def test_key_belongs_to_one_call_with_the_same_parameters(double: Double) -> None:
    await double.keyed("k", "payment_intents", **USD)
    other = await double.keyed("k", "payment_intents", **USD | {"amount": "20000"})
    assert (other[0], other[1]["error"]["type"]) == (400, "idempotency_error")
    other = await double.keyed("k", "customers")
    assert (other[0], other[1]["error"]["type"]) == (400, "idempotency_error")
    # Keys of another account are separate.
    elsewhere = await double.ask(
        "POST", "payment_intents", USD, Idempotency_Key="k", Stripe_Account="acct_elsewhere"
    )
    assert elsewhere[0] == 200


async def test_concurrent_calls_with_one_key_get_409(double: Double) -> None:
    double.api.latency_s = 0.05
    calls = [double.keyed("k", "payment_intents", **USD) for _ in range(5)]
    answers = await asyncio.gather(*calls)
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409]
    refused = next(answer for answer in answers if answer[0] == 409)
    assert told(refused)[1] == "idempotency_key_in_use"
    assert len(double.store.all("payment_intent")) == 1
    double.hold()


async def test_concurrent_calls_for_one_object_get_429(double: Double) -> None:
    intent = await double.intent()
    double.api.latency_s, double.api.lock_wait_s = 0.2, 0.01
    path = f"payment_intents/{intent}/cancel"
    first, second = await asyncio.gather(double.ask("POST", path), double.ask("POST", path))
    assert {first[0], second[0]} == {200, 429}
    assert told(max(first, second, key=lambda one: one[0]))[1] == "lock_timeout"
    double.hold()


# -- API keys and accounts -------------------------------------------------------------------------


async def test_unknown_and_revoked_api_keys_are_refused(double: Double) -> None:
    for key in ("sk_live_x", "pk_test_x", "nonsense", ""):
        status, answer = await double.ask("GET", "account", Authorization=f"Bearer {key}")
        assert (status, answer["error"]["type"]) == (401, "invalid_request_error"), key
    double.act("revoke", key="sk_test_double")
    assert told(await double.ask("GET", "account"))[:2] == (401, "api_key_expired")
    double.hold()


async def test_restricted_key_lacks_its_permissions(double: Double) -> None:
    double.act("restrict", key="rk_test_double", lacks=["payment_intent_write", "refund_read"])
    key = "Bearer rk_test_double"
    answer = await double.ask("POST", "payment_intents", USD, Authorization=key)
    assert told(answer) == (403, None, None)
    assert "rak_payment_intent_write" in answer[1]["error"]["message"]
    assert (await double.ask("GET", "payment_intents", Authorization=key))[0] == 200
    assert (await double.ask("GET", "refunds", Authorization=key))[0] == 403
    assert (await double.ask("POST", "payment_intents", USD))[0] == 200
    double.hold()


async def test_deauthorised_account_is_refused(double: Double) -> None:
    intent = await double.intent()
    double.act("deauthorise", account=ACCOUNT)
    for method, path in (("GET", f"payment_intents/{intent}"), ("GET", "refunds")):
        assert told(await double.ask(method, path))[:2] == (403, "account_invalid")
    assert double.store.all("event")[-1]["type"] == "account.application.deauthorized"
    other = await double.ask("GET", "refunds", Stripe_Account="acct_elsewhere")
    assert other[0] == 200
    double.act("authorise", account=ACCOUNT)
    assert (await double.ask("GET", f"payment_intents/{intent}"))[0] == 200
    double.hold()


async def test_401_and_403_are_not_saved(double: Double) -> None:
    double.act("deauthorise", account=ACCOUNT)
    assert (await double.keyed("k", "payment_intents", **USD))[0] == 403
    double.act("authorise", account=ACCOUNT)
    access.revoke_key(double.store, "sk_test_double")
    assert (await double.keyed("k", "payment_intents", **USD))[0] == 401
    access.revoke_key(double.store, "sk_test_double", revoked=False)
    assert (await double.keyed("k", "payment_intents", **USD))[0] == 200
