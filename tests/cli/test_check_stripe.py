"""`portal check` at Stripe: the key, webhook endpoints, the practices' accounts, and the clock."""

import datetime as dt
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from billing.stripe import Stripe
from billing.stripe.lists import EVENT_TYPES
from models import Practice
from models.ids import new_id
from sandbox import access
from sandbox.app import app as double_app
from server.cli.checks import check
from tests.support.checks import KEYS, change, results
from tests.support.portal import Portal
from tests.support.stripe_double import Double

WEBHOOK = "https://portal.example/stripe/webhook"
AT_STRIPE = {"payments", "stripe-key", "webhooks", "accounts"}


class Dated(httpx.ASGITransport):
    """The double with a Date header, as Stripe has one."""

    ahead = dt.timedelta()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        response.headers["Date"] = format_datetime(dt.datetime.now(dt.UTC) + self.ahead, True)
        return response


@pytest.fixture
async def stripe(
    configured: Portal, double: Double, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Dated]:
    """Set Stripe's keys, and put the double in Stripe's place, with an endpoint for webhooks."""
    monkeypatch.delenv("SANDBOX")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    transport = Dated(double_app(double.store, double.api))

    def client(_: Any) -> Stripe:
        return Stripe(KEYS["STRIPE_API_KEY"], base="http://stripe", transport=transport)

    monkeypatch.setattr(check, "stripe_client", client)
    await change(configured, Practice, stripe_account="acct_1")
    yield transport
    await change(configured, Practice, stripe_account=None)


async def endpoint(double: Double, *events: str, url: str = WEBHOOK) -> str:
    names = {f"enabled_events[{at}]": event for at, event in enumerate(events)}
    headers = {"Stripe_Account": "own"}
    _, made = await double.ask("POST", "webhook_endpoints", {"url": url, **names}, **headers)
    return str(made["id"])


async def test_everything_at_stripe_is_in_order(stripe: Dated, double: Double) -> None:
    await endpoint(double, *EVENT_TYPES)
    made = await results()
    assert made.failed == set()
    assert {made.outcome(name) for name in AT_STRIPE} == {"ok"}
    assert "Stripe" in made.sentence("clock")


async def test_webhook_endpoint_that_is_not_there(stripe: Dated, double: Double) -> None:
    await endpoint(double, "*", url="https://elsewhere.example/stripe/webhook")
    made = await results()
    assert made.failed == {"webhooks"}
    assert f"sends to {WEBHOOK}" in made.sentence("webhooks")


async def test_webhook_endpoint_that_lacks_events(stripe: Dated, double: Double) -> None:
    id_ = await endpoint(double, *EVENT_TYPES[1:-1])
    made = await results()
    assert made.failed == {"webhooks"}
    lacks = ", ".join(sorted([EVENT_TYPES[0], EVENT_TYPES[-1]]))
    assert made.sentence("webhooks") == f"The webhook endpoint {id_} lacks {lacks}."


async def test_disabled_webhook_endpoint(stripe: Dated, double: Double) -> None:
    id_ = await endpoint(double, "*")
    disabled = double.store.find("own", "webhook_endpoint", id_) | {"status": "disabled"}
    double.store.save("own", disabled)
    assert (await results()).failed == {"webhooks"}


async def test_endpoints_and_secrets_for_both_kinds_of_accounts(
    stripe: Dated, double: Double, configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_id()
    columns = {"name": "Own", "time_zone": "UTC", "currency": "USD", "locale": "en-US"}
    own = {"stripe_account": "own", "clients_remove_cards": False}
    await configured.insert(Practice, {"id": other, **columns, **own})
    try:
        await endpoint(double, "*")
        assert "create one for each kind" in (await results()).sentence("webhooks")
        await endpoint(double, "*")
        assert "1 secrets for 2 endpoints" in (await results()).sentence("webhooks")
        monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_1,whsec_2")
        assert (await results()).failed == set()
    finally:
        async with configured.engine.begin() as conn:
            await conn.execute(delete(Practice).where(Practice.id == other))


async def test_key_that_may_not_read_webhook_endpoints(stripe: Dated, double: Double) -> None:
    access.restrict(double.store, KEYS["STRIPE_API_KEY"], ["webhook_read"])
    made = await results()
    assert (made.failed, made.outcome("webhooks")) == (set(), "warning")


async def test_key_that_was_revoked(stripe: Dated, double: Double) -> None:
    access.revoke_key(double.store, KEYS["STRIPE_API_KEY"])
    made = await results()
    assert made.failed == {"stripe-key"}
    assert made.checks["stripe-key"]["preventsStart"] is True
    assert (made.outcome("webhooks"), made.outcome("accounts")) == ("skipped", "skipped")


async def test_account_that_the_key_does_not_reach(stripe: Dated, double: Double) -> None:
    await endpoint(double, "*")
    access.deauthorise(double.store, "acct_1")
    made = await results()
    assert made.failed == {"accounts"}
    assert made.sentence("accounts") == "The key has no access to the account acct_1."


async def test_stripe_without_an_answer(
    stripe: Dated, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_: Any, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0,))
    monkeypatch.setattr(Dated, "handle_async_request", silent)
    made = await results()
    assert "stripe-key" in made.failed
    assert made.checks["stripe-key"]["preventsStart"] is False


async def test_clock_that_differs_from_stripe(stripe: Dated, double: Double) -> None:
    await endpoint(double, "*")
    stripe.ahead = dt.timedelta(minutes=2)
    made = await results()
    assert made.failed == {"clock"}
    assert "behind the clock of Stripe" in made.sentence("clock")
