"""The double is as strict as Stripe: refusals, saved answers, API keys and accounts."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from billing.gateway import currencies as gateway
from sandbox import access, deliveries, methods, reversals
from sandbox import currencies as stripes
from sandbox.deliveries import Webhook
from sandbox.faults import Dropped, Fault
from sandbox.idempotency import LIFETIME_S
from sandbox.store import Store
from tests.double import HEADERS, USD, Double
from tests.paying import ACCOUNT, ASKS, DECLINED
from tests.processes import double as process

DAY_S = 24 * 60 * 60


@pytest.fixture
def double() -> Iterator[Double]:
    made = Double()
    yield made
    made.store.close()


def told(answer: tuple[int, Any]) -> tuple[int, str | None, str | None]:
    """Return an error's status, code and parameter."""
    status, body = answer
    return status, body["error"].get("code"), body["error"].get("param")


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
async def test_a_parameter_that_stripe_refuses_is_refused(
    double: Double, params: dict[str, str], code: str | None, param: str | None
) -> None:
    answer = await double.ask("POST", "payment_intents", USD | params)
    assert told(answer)[:2] == (400, code)
    assert param is None or told(answer)[2] == param
    assert answer[1]["error"]["type"] == "invalid_request_error"
    assert double.store.all("payment_intent") == []


@pytest.mark.parametrize("name", ["amount", "currency"])
async def test_a_required_parameter_is_missed(double: Double, name: str) -> None:
    params = {key: value for key, value in USD.items() if key != name}
    answer = await double.ask("POST", "payment_intents", params)
    assert told(answer) == (400, "parameter_missing", name)


async def test_another_release_and_another_address_are_refused(double: Double) -> None:
    status, _ = await double.ask("GET", "account", Stripe_Version="2026-10-28.endive")
    assert status == 400
    assert (await double.ask("GET", "payouts"))[0] == 404
    assert (await double.ask("GET", "account"))[0] == 200


async def test_an_intent_that_may_redirect_needs_an_address_to_come_back_to(
    double: Double,
) -> None:
    """So it is where the types of payment methods aren't named, by the dashboard's defaults."""
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
async def test_amounts_are_stripes(
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


def test_the_gateway_and_the_double_have_the_same_currencies() -> None:
    """Two lists of one page, which must not differ by a slip in one of them."""

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


async def keyed(double: Double, key: str, path: str, **params: str) -> tuple[int, Any]:
    return await double.ask("POST", path, params, Idempotency_Key=key)


async def test_the_first_answer_is_given_for_a_day(double: Double) -> None:
    first = await keyed(double, "k", "payment_intents", **USD)
    double.time += LIFETIME_S - 1
    assert await keyed(double, "k", "payment_intents", **USD) == first
    double.time += 1
    second = await keyed(double, "k", "payment_intents", **USD)
    assert second[1]["id"] != first[1]["id"]
    assert LIFETIME_S == DAY_S


async def test_refusals_and_declines_are_saved_too(double: Double) -> None:
    params = USD | {"customer": "cus_none"}
    first = await keyed(double, "k", "payment_intents", **params)
    assert first[0] == 400
    double.store.new(ACCOUNT, "customer", "cus", id="cus_none")
    assert await keyed(double, "k", "payment_intents", **params) == first
    intent, token = await double.intent(), double.token(DECLINED)
    path = f"payment_intents/{intent}/confirm"
    declined = await keyed(double, "c", path, confirmation_token=token)
    assert declined[0] == 402
    assert await keyed(double, "c", path, confirmation_token=token) == declined
    assert len(double.store.all("charge")) == 1


@pytest.mark.parametrize("after", [False, True])
async def test_a_500_is_saved_whether_the_work_was_done_or_not(double: Double, after: bool) -> None:
    double.api.faults.append(Fault("payment_intents$", 500, after=after))
    first = await keyed(double, "k", "payment_intents", **USD)
    assert first[0] == 500
    assert await keyed(double, "k", "payment_intents", **USD) == first
    assert len(double.store.all("payment_intent")) == after
    assert (await keyed(double, "k-2", "payment_intents", **USD))[0] == 200
    double.hold()


@pytest.mark.parametrize("status", [409, 429, 502, 503, 504])
async def test_what_reached_no_endpoint_is_not_saved(double: Double, status: int) -> None:
    double.api.faults.append(Fault("payment_intents$", status))
    assert (await keyed(double, "k", "payment_intents", **USD))[0] == status
    assert (await keyed(double, "k", "payment_intents", **USD))[0] == 200
    double.hold()


async def test_a_refused_parameter_is_not_saved(double: Double) -> None:
    refused = await keyed(double, "k", "payment_intents", **USD, amout="1")
    assert refused[0] == 400
    assert (await keyed(double, "k", "payment_intents", **USD))[0] == 200


async def test_a_key_is_for_one_call_with_the_same_parameters(double: Double) -> None:
    await keyed(double, "k", "payment_intents", **USD)
    other = await keyed(double, "k", "payment_intents", **USD | {"amount": "20000"})
    assert (other[0], other[1]["error"]["type"]) == (400, "idempotency_error")
    other = await keyed(double, "k", "customers")
    assert (other[0], other[1]["error"]["type"]) == (400, "idempotency_error")
    # Another account's keys are others.
    elsewhere = await double.ask(
        "POST", "payment_intents", USD, Idempotency_Key="k", Stripe_Account="acct_elsewhere"
    )
    assert elsewhere[0] == 200


async def test_two_calls_under_a_key_at_once(double: Double) -> None:
    double.api.latency_s = 0.05
    calls = [keyed(double, "k", "payment_intents", **USD) for _ in range(5)]
    answers = await asyncio.gather(*calls)
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409]
    refused = next(answer for answer in answers if answer[0] == 409)
    assert told(refused)[1] == "idempotency_key_in_use"
    assert len(double.store.all("payment_intent")) == 1
    double.hold()


async def test_two_calls_at_an_object_at_once(double: Double) -> None:
    intent = await double.intent()
    double.api.latency_s, double.api.lock_wait_s = 0.2, 0.01
    path = f"payment_intents/{intent}/cancel"
    first, second = await asyncio.gather(double.ask("POST", path), double.ask("POST", path))
    assert {first[0], second[0]} == {200, 429}
    assert told(max(first, second, key=lambda one: one[0]))[1] == "lock_timeout"
    double.hold()


# -- keys and accounts -----------------------------------------------------------------------------


async def test_keys_that_are_refused(double: Double) -> None:
    for key in ("sk_live_x", "pk_test_x", "nonsense", ""):
        status, answer = await double.ask("GET", "account", Authorization=f"Bearer {key}")
        assert (status, answer["error"]["type"]) == (401, "invalid_request_error"), key
    double.act("revoke", key="sk_test_double")
    assert told(await double.ask("GET", "account"))[:2] == (401, "api_key_expired")
    double.hold()


async def test_a_restricted_key_lacks_what_it_lacks(double: Double) -> None:
    double.act("restrict", key="rk_test_double", lacks=["payment_intent_write", "refund_read"])
    key = "Bearer rk_test_double"
    answer = await double.ask("POST", "payment_intents", USD, Authorization=key)
    assert told(answer) == (403, None, None)
    assert "rak_payment_intent_write" in answer[1]["error"]["message"]
    assert (await double.ask("GET", "payment_intents", Authorization=key))[0] == 200
    assert (await double.ask("GET", "refunds", Authorization=key))[0] == 403
    assert (await double.ask("POST", "payment_intents", USD))[0] == 200
    double.hold()


async def test_an_account_that_ended_its_access(double: Double) -> None:
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


async def test_a_403_and_a_401_are_not_saved(double: Double) -> None:
    double.act("deauthorise", account=ACCOUNT)
    assert (await keyed(double, "k", "payment_intents", **USD))[0] == 403
    double.act("authorise", account=ACCOUNT)
    access.revoke(double.store, "sk_test_double")
    assert (await keyed(double, "k", "payment_intents", **USD))[0] == 401
    access.revoke(double.store, "sk_test_double", revoked=False)
    assert (await keyed(double, "k", "payment_intents", **USD))[0] == 200


# -- customers and cards ---------------------------------------------------------------------------


async def saved_card(double: Double) -> tuple[str, str]:
    """Return a customer, and a card that it keeps."""
    customer = await double.made("customers")
    await double.paid(customer=customer, setup_future_usage="on_session")
    (card,) = (one for one in double.store.all("payment_method") if one["customer"] == customer)
    return customer, card["id"]


async def test_a_deleted_customer_is_told_and_refused(double: Double) -> None:
    customer, card = await saved_card(double)
    waiting = await double.intent(customer=customer)
    double.act("delete_customer", account=ACCOUNT, id=customer)
    status, answer = await double.ask("GET", f"customers/{customer}")
    assert (status, answer) == (200, {"id": customer, "object": "customer", "deleted": True})
    missing = 400, "resource_missing", "customer"
    assert (
        told(await double.ask("POST", "payment_intents", USD | {"customer": customer})) == missing
    )
    assert told(await double.ask("POST", "setup_intents", {"customer": customer})) == missing
    cards = await double.ask("GET", f"customers/{customer}/payment_methods")
    assert told(cards)[1] == "resource_missing"
    assert told(await double.ask("GET", "payment_methods", {"customer": customer})) == missing
    path = f"payment_intents/{waiting}/confirm"
    assert told(await double.ask("POST", path, {"payment_method": card})) == missing
    # Its cards are nobody's, and no event tells of it.
    assert (await double.ask("GET", f"payment_methods/{card}"))[1]["customer"] is None
    types = [event["type"] for event in double.store.all("event")]
    assert "payment_method.detached" not in types
    double.hold()


async def test_a_detached_card_is_used_no_more(double: Double) -> None:
    customer, card = await saved_card(double)
    assert (await double.ask("POST", f"payment_methods/{card}/detach"))[0] == 200
    assert (await double.ask("POST", f"payment_methods/{card}/detach"))[0] == 400
    path = f"payment_intents/{await double.intent(customer=customer)}/confirm"
    assert (await double.ask("POST", path, {"payment_method": card}))[0] == 400
    double.hold()


async def test_cards_without_a_fingerprint(double: Double) -> None:
    double.act("set", name=methods.FINGERPRINTS, value=False)
    _, card = await saved_card(double)
    assert (await double.ask("GET", f"payment_methods/{card}"))[1]["card"]["fingerprint"] is None
    double.hold()


async def test_a_failed_3d_secure_has_stripes_type_and_code(double: Double) -> None:
    intent = await double.paid(ASKS)
    double.act("authenticate", account=ACCOUNT, id=intent, succeed=False)
    failed = (await double.ask("GET", f"payment_intents/{intent}"))[1]["last_payment_error"]
    assert (failed["type"], failed["code"]) == (
        "invalid_request_error",
        "payment_intent_authentication_failure",
    )
    assert failed["payment_method"]["object"] == "payment_method"


# -- money that goes back --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "status"),
    [("settle_refund", "succeeded"), ("fail_refund", "failed"), ("cancel_refund", "canceled")],
)
async def test_a_refund_is_pending_and_ends_days_later(
    double: Double, end: str, status: str
) -> None:
    intent = await double.paid()
    double.act("set", name=reversals.REFUNDS, value="pending")
    refund = await double.made("refunds", payment_intent=intent, amount="4000")
    created = int(double.time)
    double.time += 7 * DAY_S
    double.act(end, account=ACCOUNT, id=refund)
    _, found = await double.ask("GET", f"refunds/{refund}")
    assert (found["status"], found["created"]) == (status, created)
    # The charge has it back, unless it succeeded.
    _, charge = await double.ask("GET", f"charges/{found['charge']}")
    assert charge["amount_refunded"] == (4_000 if status == "succeeded" else 0)
    double.hold()


async def test_a_refund_fails_after_it_had_succeeded(double: Double) -> None:
    refund = await double.made("refunds", payment_intent=await double.paid())
    double.time += 7 * DAY_S
    double.act("fail_refund", account=ACCOUNT, id=refund)
    assert (await double.ask("GET", f"refunds/{refund}"))[1]["status"] == "failed"


async def test_disputes_of_other_amounts_and_several_of_one_charge(double: Double) -> None:
    intent = await double.paid()
    facts = {"account": ACCOUNT, "intent": intent}
    inquiry = double.act("dispute", **facts, status="warning_needs_response")
    other = double.act("dispute", **facts, amount=8_131, currency="eur", again=True)
    _, page = await double.ask("GET", "disputes", {"payment_intent": intent})
    assert [one["id"] for one in page["data"]] == [other["id"], inquiry["id"]]
    assert [(one["amount"], one["currency"]) for one in page["data"]] == [
        (8_131, "eur"),
        (10_000, "usd"),
    ]
    # An inquiry took no money. It becomes a dispute that did.
    assert inquiry["balance_transactions"] == []
    double.time += 70 * DAY_S
    for status in ("needs_response", "under_review", "won"):
        double.act("decide_dispute", account=ACCOUNT, id=inquiry["id"], status=status)
    _, won = await double.ask("GET", f"disputes/{inquiry['id']}")
    assert [one["amount"] for one in won["balance_transactions"]] == [-10_000, 10_000]
    assert won["status"] == "won"
    double.hold()


async def test_money_is_dated_when_it_moved(double: Double) -> None:
    intent = await double.paid(ASKS)
    double.time += 3_600
    double.act("authenticate", account=ACCOUNT, id=intent, succeed=True)
    moved_at = int(double.time)
    double.time += DAY_S
    _, found = await double.ask("GET", f"payment_intents/{intent}", {"expand[0]": "latest_charge"})
    assert found["created"] == moved_at - 3_600
    assert found["latest_charge"]["created"] == moved_at


# -- strangers and lists ---------------------------------------------------------------------------


async def test_a_stranger_has_objects_of_every_status(double: Double) -> None:
    double.act("strangers", account=ACCOUNT)
    for kind, statuses in (("payment_intent", 7), ("setup_intent", 6), ("dispute", 8)):
        _, page = await double.ask("GET", f"{kind}s", {"limit": "100"})
        assert len({one["status"] for one in page["data"]}) == statuses
    _, page = await double.ask("GET", "refunds", {"limit": "100"})
    assert {one.get("status", "absent") for one in page["data"]} >= {None, "absent", "pending"}
    bare = [one for one in double.store.all("payment_intent") if "amount" not in one]
    assert len(bare) == 7
    double.hold()


async def test_a_list_is_read_page_by_page(double: Double) -> None:
    made = []
    for _ in range(7):
        double.time += 10
        made.append(await double.intent())
    found: list[str] = []
    params = {"limit": "3"}
    while True:
        _, page = await double.ask("GET", "payment_intents", params)
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        params = {"limit": "3", "starting_after": found[-1]}
    assert found == made[::-1]
    _, page = await double.ask("GET", "payment_intents", {"ending_before": made[4], "limit": "1"})
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([made[5]], True)
    limits = {"created[gt]": str(int(double.time) - 40), "created[lte]": str(int(double.time) - 10)}
    _, page = await double.ask("GET", "payment_intents", limits)
    assert [one["id"] for one in page["data"]] == made[3:6][::-1]
    answer = await double.ask("GET", "payment_intents", {"starting_after": "pi_none"})
    assert told(answer)[1:] == ("resource_missing", "starting_after")
    double.hold()


async def test_events_are_found_for_thirty_days(double: Double) -> None:
    await double.paid()
    await double.made("customers")

    async def types(**params: str) -> list[str]:
        _, page = await double.ask("GET", "events", {"limit": "100"} | params)
        return [event["type"] for event in page["data"]]

    assert await types(type="charge.*") == ["charge.succeeded"]
    named = {"types[0]": "customer.created", "types[1]": "payment_intent.succeeded"}
    assert await types(**named) == ["customer.created", "payment_intent.succeeded"]
    assert len(await types(delivery_success="false")) == 4
    assert await types(delivery_success="true") == []
    many = {f"types[{n}]": "charge.succeeded" for n in range(21)}
    assert told(await double.ask("GET", "events", many)) == (400, None, "types")
    double.time += 30 * DAY_S + 1
    assert await types() == []
    double.hold()


# -- the wire --------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
async def test_a_connection_ends_before_or_after_the_work(double: Double, after: bool) -> None:
    double.api.faults.append(Fault("payment_intents$", drop=True, after=after))
    with pytest.raises(Dropped):
        await keyed(double, "k", "payment_intents", **USD)
    assert len(double.store.all("payment_intent")) == after
    assert (await keyed(double, "k", "payment_intents", **USD))[0] == 200
    assert len(double.store.all("payment_intent")) == 1
    double.hold()


async def test_a_call_arrives_twice(double: Double) -> None:
    double.api.faults.append(Fault("payment_intents$", twice=True))
    await double.intent()
    assert len(double.store.all("payment_intent")) == 2
    double.api.faults.append(Fault("payment_intents$", twice=True))
    await keyed(double, "k", "payment_intents", **USD)
    assert len(double.store.all("payment_intent")) == 3


async def test_an_answer_that_is_late_is_an_old_one(double: Double) -> None:
    """The answer was true when the call was done."""
    intent = await double.intent()
    path = f"payment_intents/{intent}"
    double.api.faults.append(Fault(f"GET {path}", after=True, delay_s=0.1))
    late = asyncio.create_task(double.ask("GET", path))
    await asyncio.sleep(0.02)
    await double.ask("POST", f"{path}/cancel")
    assert (await late)[1]["status"] == "requires_payment_method"
    assert (await double.ask("GET", path))[1]["status"] == "canceled"


@pytest.fixture
async def other_process(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    with process(tmp_path) as address:
        async with httpx.AsyncClient(base_url=address, headers=HEADERS) as http:
            yield http


async def test_a_socket_is_closed_before_or_after_the_work(
    other_process: httpx.AsyncClient,
) -> None:
    for after in (False, True):
        faults = {"faults": [{"matches": "customers$", "drop": True, "after": after}]}
        await other_process.post("/controls/faults", json=faults)
        with pytest.raises(httpx.TransportError):
            await other_process.post("/v1/customers")
        state = (await other_process.get("/controls/state")).json()
        assert len(state["customer"]) == after
    assert (await other_process.post("/v1/customers")).status_code == 200


async def test_the_clock_of_a_process_is_moved(other_process: httpx.AsyncClient) -> None:
    await other_process.post("/controls/clock", json={"later_s": 90 * DAY_S})
    made = (await other_process.post("/v1/customers")).json()
    assert made["created"] > time.time() + 89 * DAY_S


# -- events that go astray -------------------------------------------------------------------------


async def delivered(store: Store, times: int = 3) -> list[str]:
    """Send the planned events so often, and return the ids in the order of sending."""
    found: list[str] = []

    async def take(request: httpx.Request) -> httpx.Response:
        found.append(request.content.decode().partition('"id": "')[2].partition('"')[0])
        return httpx.Response(200)

    webhook = Webhook("http://portal/webhook", "whsec_x")
    async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
        for _ in range(times):
            for event, body, tries in deliveries.planned(store):
                await deliveries.send(store, webhook, client, event, body, tries)
    return found


async def test_events_are_lost_doubled_and_shuffled(double: Double) -> None:
    for _ in range(60):
        double.store.tell(ACCOUNT, "x.y", {"id": "x", "object": "x"})
    ids = [event["id"] for event in double.store.all("event")]
    double.act("set", name=deliveries.EVENTS, value={"lost": 0.3, "twice": 0.3, "shuffled": True})
    found = await delivered(double.store, times=6)
    lost = set(ids) - set(found)
    assert 5 <= len(lost) <= 35
    assert 5 <= len(found) - len(set(found)) <= 35
    assert list(dict.fromkeys(found)) != [id_ for id_ in ids if id_ in found]
    # Lost events can still be listed.
    assert set(double.store.waiting()) == lost


async def test_events_are_withheld(double: Double) -> None:
    await double.paid()
    double.act("withhold", types="charge.%")
    kept = {event["id"]: event["type"] for event in double.store.all("event")}
    found = {kept[id_] for id_ in await delivered(double.store)}
    assert found == {"payment_intent.created", "payment_intent.succeeded"}
    assert time.time() < deliveries.NEVER
