"""The gateway's expectations, tested on the double and, with STRIPE_TEST_KEY, on Stripe itself.

On Stripe the tests also record the responses; from then on the double is compared with the
recording.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from billing.payments.status import OWN
from billing.stripe import Declined, Forbidden, Missing, Order, Rejected, Stripe
from billing.stripe.objects import IntentStatus
from billing.stripe.release import API_VERSION
from models import DeclineReason
from models.ids import new_id
from sandbox import access
from sandbox.api import Api
from sandbox.app import app
from sandbox.pages import token as new_token
from sandbox.store import PAGE, Store
from tests.sandbox.specification import held
from tests.support import stripe_recording
from tests.support.payments import ASKS, DECLINED, GOOD
from tests.support.stripe_recording import RECORDED, Recorder

KEY = os.environ.get("STRIPE_TEST_KEY")
# Tests that send parameters that the specification does not have.
ODD = ("test_unknown_and_missing_parameters_are_refused",)
# Stripe's own test helper makes tokens of these.
METHODS = {
    GOOD: "pm_card_visa",
    DECLINED: "pm_card_visa_chargeDeclined",
    ASKS: "pm_card_authenticationRequired",
}


@dataclass
class Remote:
    """Stripe or the double, with a way to make a page's token. `recorder` has all responses."""

    stripe: Stripe
    store: Store | None
    key: str
    recorder: Recorder

    async def token(self, number: str) -> str:
        if self.store is not None:
            card = {"expMonth": 12, "expYear": 2031, "name": "Ana Prieto", "zip": "04101"}
            with self.store.transaction():
                return new_token(self.store, PAGE, {"number": number, **card})
        billing = {"name": "Ana Prieto", "address": {"postal_code": "04101"}}
        params: Any = {
            "payment_method": METHODS[number],
            "payment_method_data": {"type": "card", "billing_details": billing},
        }
        made = await self.stripe.api.test_helpers.confirmation_tokens.create_async(params)
        return str(made.id)

    async def ask(
        self, method: str, path: str, params: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Send a request without the SDK, which refuses unknown parameters."""
        named = {"Authorization": f"Bearer {self.key}", "Stripe-Version": API_VERSION}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        form: Any = {"data": params} if method == "POST" else {"params": params}
        async with httpx.AsyncClient(transport=Borrowed(self.recorder)) as http:
            answer = await http.request(method, f"{BASE}/{path}", headers=named, **form)
        return answer.status_code, answer.json()

    async def intent(self, **params: str) -> tuple[int, Any]:
        asked = {"amount": "10000", "currency": "usd", "payment_method_types[0]": "card"}
        return await self.ask("POST", "payment_intents", asked | params)


BASE = "https://api.stripe.com/v1"


class Borrowed(httpx.AsyncBaseTransport):
    """Transport that its owner closes."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.transport.handle_async_request(request)


@pytest.fixture(
    params=[
        "double",
        pytest.param(
            "stripe", marks=pytest.mark.skipif(KEY is None, reason="no STRIPE_TEST_KEY is set")
        ),
    ]
)
async def remote(request: pytest.FixtureRequest) -> AsyncIterator[Remote]:
    made = at_stripe() if request.param == "stripe" else at_the_double()
    yield made
    await made.stripe.close()
    test = named(request.node)
    if made.store is None:
        stripe_recording.write(RECORDED, test, made.recorder.seen, API_VERSION)
        return
    is_odd = request.node.originalname in ODD
    held.hold([] if is_odd else made.store.journal(), made.store.all("event"))
    made.store.close()
    if recorded := stripe_recording.read(RECORDED):
        assert stripe_recording.differences(recorded, test, made.recorder.seen) == []


def named(test: pytest.Function) -> str:
    """Return a test's name with its parameters, the same at the double and at Stripe."""
    given = {name: value for name, value in test.callspec.params.items() if name != "remote"}
    return " ".join([test.originalname, *map(str, given.values())])


def at_stripe() -> Remote:
    assert KEY is not None
    recorder = Recorder(httpx.AsyncHTTPTransport())
    return Remote(Stripe(KEY, transport=recorder), None, KEY, recorder)


def at_the_double() -> Remote:
    store, key = Store(":memory:"), "sk_test_double"
    recorder = Recorder(httpx.ASGITransport(app(store, Api(store))))
    return Remote(Stripe(key, transport=recorder), store, key, recorder)


def order(**facts: Any) -> Order:
    return replace(Order(new_id(), new_id(), new_id(), 10_000, "USD"), **facts)


async def test_intent_is_created_once_under_its_key(remote: Remote) -> None:
    wanted = order()
    first, again = await remote.stripe.create(OWN, wanted), await remote.stripe.create(OWN, wanted)
    assert first == again
    assert (first.status, first.received_minor) == (IntentStatus.REQUIRES_PAYMENT_METHOD, 0)


async def test_another_amount_makes_another_intent(remote: Remote) -> None:
    wanted = order()
    first = await remote.stripe.create(OWN, wanted)
    other = await remote.stripe.create(OWN, replace(wanted, amount_minor=20_000))
    assert other.id != first.id
    _, found = await remote.ask("GET", f"payment_intents/{other.id}")
    assert found["amount"] == 20_000


async def test_confirmed_intent_has_moved_the_money_once(remote: Remote) -> None:
    wanted, token = order(), await remote.token(GOOD)
    made = await remote.stripe.create(OWN, wanted)
    paid = await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=token)
    assert (paid.status, paid.received_minor) == (IntentStatus.SUCCEEDED, 10_000)
    assert paid.card is not None
    assert (paid.card.last4, paid.card.name) == ("4242", "Ana Prieto")
    again = await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=token)
    assert again.received_minor == 10_000
    with pytest.raises(Rejected):
        await remote.stripe.cancel(OWN, made.id)


async def test_declined_card_is_reported_by_the_intent(remote: Remote) -> None:
    wanted = order()
    made = await remote.stripe.create(OWN, wanted)
    with pytest.raises(Declined):
        await remote.stripe.confirm(
            wanted.payment_id, OWN, made.id, token=await remote.token(DECLINED)
        )
    now = await remote.stripe.intent(OWN, made.id)
    assert (now.status, now.decline) == (
        IntentStatus.REQUIRES_PAYMENT_METHOD,
        DeclineReason.GENERIC,
    )


async def test_canceled_intent_can_not_be_confirmed(remote: Remote) -> None:
    wanted = order()
    made = await remote.stripe.create(OWN, wanted)
    assert (await remote.stripe.cancel(OWN, made.id)).status is IntentStatus.CANCELED
    with pytest.raises(Rejected):
        await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=await remote.token(GOOD))


async def test_3d_secure_waits_for_the_cardholder(remote: Remote) -> None:
    wanted = order()
    made = await remote.stripe.create(OWN, wanted)
    token = await remote.token(ASKS)
    waits = await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=token)
    assert waits.status is IntentStatus.REQUIRES_ACTION
    assert waits.client_secret.startswith(made.id)


async def test_confirmation_token_has_its_card_and_works_once(remote: Remote) -> None:
    token = await remote.token(GOOD)
    card = await remote.stripe.token(OWN, token)
    assert (card.last4, card.name, card.zip) == ("4242", "Ana Prieto", "04101")
    first, second = order(), order()
    made = [await remote.stripe.create(OWN, one) for one in (first, second)]
    await remote.stripe.confirm(first.payment_id, OWN, made[0].id, token=token)
    with pytest.raises(Rejected):
        await remote.stripe.confirm(second.payment_id, OWN, made[1].id, token=token)


async def test_saved_card_pays_for_its_customer(remote: Remote) -> None:
    client = new_id()
    customer = await remote.stripe.customer(OWN, new_id(), client, None, 1)
    wanted = order(customer=customer, save_card=True)
    made = await remote.stripe.create(OWN, wanted)
    token = await remote.token(GOOD)
    saved = (await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=token)).card
    assert saved is not None
    again = order(customer=customer)
    made = await remote.stripe.create(OWN, again)
    method = saved.stripe_id
    paid = await remote.stripe.confirm(again.payment_id, OWN, made.id, method=method)
    assert paid.status is IntentStatus.SUCCEEDED


async def test_unknown_objects_are_missing(remote: Remote) -> None:
    with pytest.raises(Missing):
        await remote.stripe.intent(OWN, "pi_000000000000000000000000")
    with pytest.raises(Rejected):
        await remote.stripe.token(OWN, "ctoken_000000000000000000000000")


async def test_double_refuses_live_keys() -> None:
    store = Store(":memory:")
    transport = httpx.ASGITransport(app(store))
    stripe = Stripe("sk_live_x", base="http://stripe", transport=transport)
    with pytest.raises(Forbidden):
        await stripe.verify()
    await stripe.close()
    store.close()


# -- errors that the gateway distinguishes ---------------------------------------------------------


def told(answer: tuple[int, Any]) -> tuple[int, str | None, str | None]:
    """Return an error's status, code and parameter."""
    status, body = answer
    assert body["error"]["type"] in ("invalid_request_error", "idempotency_error"), body
    return status, body["error"].get("code"), body["error"].get("param")


async def test_unknown_and_missing_parameters_are_refused(remote: Remote) -> None:
    assert told(await remote.intent(amout="1")) == (400, "parameter_unknown", "amout")
    answer = await remote.ask("POST", "payment_intents", {"currency": "usd"})
    assert told(answer) == (400, "parameter_missing", "amount")


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        ("49", "usd", "amount_too_small"),
        ("299", "nok", "amount_too_small"),
        ("100000000", "usd", "amount_too_large"),
    ],
)
async def test_amount_beyond_its_limits_has_an_error_code(
    remote: Remote, amount: str, currency: str, code: str
) -> None:
    answer = await remote.intent(amount=amount, currency=currency)
    assert told(answer) == (400, code, "amount")


@pytest.mark.parametrize(("amount", "currency"), [("10001", "kwd"), ("50050", "isk")])
async def test_amount_without_whole_units_is_refused(
    remote: Remote, amount: str, currency: str
) -> None:
    status, _ = await remote.intent(amount=amount, currency=currency)
    assert status == 400


async def test_deleted_customer_is_marked_and_can_not_be_used(remote: Remote) -> None:
    _, made = await remote.ask("POST", "customers", {"metadata[client]": new_id()})
    id_ = made["id"]
    status, gone = await remote.ask("DELETE", f"customers/{id_}")
    assert (status, gone["deleted"]) == (200, True)
    status, found = await remote.ask("GET", f"customers/{id_}")
    assert (status, found["deleted"]) == (200, True)
    refused = 400, "resource_missing", "customer"
    assert told(await remote.intent(customer=id_)) == refused
    assert told(await remote.ask("POST", "setup_intents", {"customer": id_})) == refused


async def test_invalid_api_key_is_refused(remote: Remote) -> None:
    answer = await remote.ask("GET", "account", Authorization="Bearer sk_test_nonsense_x")
    if remote.store is None:
        assert told(answer)[0] == 401
    answer = await remote.ask("GET", "account", Authorization="Bearer nonsense")
    assert told(answer)[0] == 401


async def test_account_without_access_is_refused(remote: Remote) -> None:
    if remote.store is not None:
        access.deauthorise(remote.store, "acct_000000000000000")
    answer = await remote.ask("GET", "refunds", Stripe_Account="acct_000000000000000")
    assert told(answer)[:2] == (403, "account_invalid")


async def test_refund_is_made_once_under_its_key(remote: Remote) -> None:
    wanted = order()
    made = await remote.stripe.create(OWN, wanted)
    token = await remote.token(GOOD)
    await remote.stripe.confirm(wanted.payment_id, OWN, made.id, token=token)
    params, key = {"payment_intent": made.id, "amount": "4000"}, new_id()
    first = await remote.ask("POST", "refunds", params, Idempotency_Key=key)
    again = await remote.ask("POST", "refunds", params, Idempotency_Key=key)
    assert first[0] == again[0] == 200
    assert first[1]["id"] == again[1]["id"]
    status, page = await remote.ask("GET", "refunds", {"payment_intent": made.id})
    assert (status, [one["id"] for one in page["data"]]) == (200, [first[1]["id"]])
    other = params | {"amount": "1"}
    status, answer = await remote.ask("POST", "refunds", other, Idempotency_Key=key)
    assert (status, answer["error"]["type"]) == (400, "idempotency_error")
    assert (await remote.ask("GET", f"refunds/{first[1]['id']}"))[0] == 200
    assert (await remote.ask("GET", f"charges/{first[1]['charge']}"))[0] == 200


async def test_setup_intent_is_made_and_canceled(remote: Remote) -> None:
    params = {"usage": "on_session", "payment_method_types[0]": "card"}
    _, made = await remote.ask("POST", "setup_intents", params)
    status, gone = await remote.ask("POST", f"setup_intents/{made['id']}/cancel")
    assert (status, gone["status"]) == (200, "canceled")
    answer = await remote.ask("POST", f"setup_intents/{made['id']}/cancel")
    assert told(answer)[:2] == (400, "setup_intent_unexpected_state")


# -- recording -------------------------------------------------------------------------------------


def test_stripe_itself_was_recorded() -> None:
    if stripe_recording.read(RECORDED) is None:
        pytest.skip("Stripe itself was never recorded: run make test-stripe with STRIPE_TEST_KEY")


async def test_recorder_keeps_names_and_enums_but_no_values(tmp_path: Path) -> None:
    remote, file = at_the_double(), tmp_path / "recorded.json"
    assert remote.store is not None
    _, made = await remote.intent()
    await remote.ask("GET", "payment_intents")
    await remote.intent(amount="49")
    with pytest.raises(Declined):
        token = await remote.token(DECLINED)
        await remote.stripe.confirm(new_id(), OWN, made["id"], token=token)
    stripe_recording.write(file, "one", remote.recorder.seen, API_VERSION)
    recorded = stripe_recording.read(file)
    assert recorded is not None
    small, declined = recorded["tests"]["one"][2:4]
    assert small["error"] == {
        "type": "invalid_request_error",
        "code": "amount_too_small",
        "param": "amount",
    }
    assert declined["error"]["decline_code"] == "generic_decline"
    assert "data.client_secret" in recorded["tests"]["one"][1]["fields"]
    text = file.read_text()
    for value in (made["id"], made["client_secret"], token, "sk_test", "Ana", "10000", "04101"):
        assert value not in text
    assert stripe_recording.differences(recorded, "one", remote.recorder.seen) == []
    await remote.stripe.close()
    remote.store.close()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ({"status": 402}, "Stripe answers 402"),
        ({"error": {"type": "card_error"}}, "card_error"),
        ({"fields": ["id", "object", "novelty"]}, "novelty"),
        ({"call": "POST /v1/refunds"}, "other calls"),
    ],
)
async def test_double_unlike_the_recording_is_found(
    tmp_path: Path, spoil: dict[str, Any], told: str
) -> None:
    remote, file = at_the_double(), tmp_path / "recorded.json"
    assert remote.store is not None
    await remote.intent()
    stripe_recording.write(file, "one", remote.recorder.seen, API_VERSION)
    recorded = stripe_recording.read(file)
    assert recorded is not None
    assert stripe_recording.differences(recorded, "one", remote.recorder.seen) == []
    recorded["tests"]["one"][0] |= spoil
    (difference,) = stripe_recording.differences(recorded, "one", remote.recorder.seen)
    assert told in difference
    assert stripe_recording.differences(recorded, "two", remote.recorder.seen) != []
    await remote.stripe.close()
    remote.store.close()
