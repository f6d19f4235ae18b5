"""Stripe: the only module that speaks to it. What it answers leaves here as our own values.

A call ends in one of four ways: an answer; `Declined`, by the bank; `Rejected`, as Stripe won't do
such a thing; or `Unknown`, where nobody can tell whether it was done.

StripeTrouble
├── Declined
├── Rejected
│   └── Missing
└── Unknown
"""

import asyncio
import datetime as dt
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import stripe

from billing.payments import PaymentsMode
from billing.stripe_objects import (
    Card,
    Event,
    Intent,
    NotAnEvent,
    card,
    decline_reason,
    hint,
    intent,
)
from models import DeclineReason

T = TypeVar("T")

API_VERSION = "2026-10-28.endive"
CONFIRM_TIMEOUT_S, TIMEOUT_S = 20.0, 10.0
# The SDK doesn't try again after 429.
BACKOFFS_S = (0.5, 1.0, 2.0)
# How far a webhook's time may be off, either way.
TOLERANCE = dt.timedelta(seconds=300)
# The account of the key itself, for an installation of one practice.
OWN = "own"

log = logging.getLogger("portal.stripe")


class StripeTrouble(Exception):
    """A call that had no good answer."""


class Declined(StripeTrouble):
    """The bank refused the card."""

    def __init__(self, reason: DeclineReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Rejected(StripeTrouble):
    """Stripe won't do this, and has not."""


class Missing(Rejected):
    """Stripe has no such thing in this account."""


class Unknown(StripeTrouble):
    """Nobody can tell whether it was done: ask, never guess."""


@dataclass(frozen=True)
class Order:
    """What Stripe is told of a payment: opaque ids and an amount in minor units, nothing else."""

    payment_id: str
    practice_id: str
    account: str
    amount_minor: int
    currency: str
    customer: str | None
    save_card: bool


class Stripe:
    """Stripe's API, by one HTTP client of one event loop."""

    def __init__(
        self,
        api_key: str,
        *,
        base: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        self.webhook_secret = webhook_secret
        self.http = stripe.HTTPXClient(timeout=TIMEOUT_S)
        if transport is not None:
            self.http._client_async = httpx.AsyncClient(transport=transport)
        self.slow_http = stripe.HTTPXClient(timeout=CONFIRM_TIMEOUT_S)
        self.slow_http._client_async = self.http._client_async
        self.api = client(api_key, base, self.http)
        self.slow_api = client(api_key, base, self.slow_http)

    async def close(self) -> None:
        await self.http._client_async.aclose()

    async def verify(self) -> None:
        """Rejected, if Stripe doesn't know the key."""
        await answered(lambda: self.api.accounts.retrieve_current_async())

    # -- payments ----------------------------------------------------------------------------------

    async def create(self, order: Order) -> Intent:
        """An unconfirmed PaymentIntent: it can't move money. The same for the same payment."""
        params: dict[str, Any] = {
            "amount": order.amount_minor,
            "currency": order.currency.lower(),
            "payment_method_types": ["card"],
            "metadata": {"payment": order.payment_id, "practice": order.practice_id},
        }
        if order.customer is not None:
            params["customer"] = order.customer
        if order.save_card:
            params["setup_future_usage"] = "on_session"
        options = named(order.account, f"{order.payment_id}-create")
        created = await answered(lambda: self.api.payment_intents.create_async(params, options))
        return intent(plain(created))

    async def confirm(
        self,
        payment_id: str,
        account: str,
        intent_id: str,
        *,
        method: str | None = None,
        token: str | None = None,
    ) -> Intent:
        """The one call that moves money, by a saved card or by a new one's token."""
        source = {"payment_method": method} if method else {"confirmation_token": token}
        params: Any = {**source, "use_stripe_sdk": True, "expand": ["payment_method"]}
        options = named(account, f"{payment_id}-confirm")
        confirm = self.slow_api.payment_intents.confirm_async
        return intent(plain(await answered(lambda: confirm(intent_id, params, options))))

    async def cancel(self, account: str, intent_id: str) -> Intent:
        """The fence: after it no charge can follow. Rejected, where the money may have moved."""
        params: Any = {"expand": ["payment_method"]}
        cancel = self.api.payment_intents.cancel_async
        return intent(plain(await answered(lambda: cancel(intent_id, params, named(account)))))

    async def intent(self, account: str, intent_id: str) -> Intent:
        params: Any = {"expand": ["payment_method"]}
        retrieve = self.api.payment_intents.retrieve_async
        return intent(plain(await answered(lambda: retrieve(intent_id, params, named(account)))))

    # -- cards -------------------------------------------------------------------------------------

    async def customer(self, account: str, practice_id: str, client_id: str) -> str:
        """The id of the client's customer: made once, whoever asks and however often."""
        params: Any = {"metadata": {"client": client_id, "practice": practice_id}}
        options = named(account, f"{client_id}-customer")
        made = await answered(lambda: self.api.customers.create_async(params, options))
        return str(made.id)

    async def token(self, account: str, token_id: str) -> Card:
        """The card that a page's confirmation token is of."""
        retrieve = self.api.confirmation_tokens.retrieve_async
        found = await answered(lambda: retrieve(token_id, None, named(account)))
        preview = plain(found)["payment_method_preview"]
        if not preview.get("card"):
            raise Rejected("not a card's token")
        return card(preview)

    # -- webhooks ----------------------------------------------------------------------------------

    def event(self, body: bytes, signature: str | None, now: dt.datetime) -> Event:
        """The event of a webhook that Stripe signed within five minutes of now, either way."""
        try:
            header = signature or ""
            stripe.WebhookSignature.verify_header(body, header, self.webhook_secret)
            signed_at = int(dict(part.split("=", 1) for part in header.split(","))["t"])
            event = json.loads(body)
        except (stripe.SignatureVerificationError, ValueError, KeyError):
            raise NotAnEvent from None
        if abs(now.timestamp() - signed_at) > TOLERANCE.total_seconds():
            raise NotAnEvent
        return hint(event)


def client(api_key: str, base: str | None, http: stripe.HTTPXClient) -> Any:
    made = stripe.StripeClient(
        api_key,
        stripe_version=API_VERSION,
        base_addresses={"api": base} if base else None,
        http_client=http,
        max_network_retries=0,
    )
    return made.v1


def named(account: str, key: str | None = None) -> Any:
    """A call's options: in which account, and under which idempotency key."""
    options = {} if account == OWN else {"stripe_account": account}
    return options | ({"idempotency_key": key} if key else {})


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """What the call answers; its errors as one of ours."""
    for backoff_s in (*BACKOFFS_S, None):
        try:
            return await call()
        except stripe.RateLimitError:
            if backoff_s is None:
                raise Unknown("too many requests") from None
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1))  # noqa: S311 (jitter)
        except stripe.StripeError as error:
            raise trouble(error) from None
        except httpx.HTTPError as error:
            raise Unknown(type(error).__name__) from None
    raise AssertionError("the last try returns or raises")


def trouble(error: stripe.StripeError) -> StripeTrouble:
    """Without the text, which may have what was sent in it."""
    if isinstance(error, stripe.CardError):
        return Declined(decline_reason(error.code, plain_error(error).get("decline_code")))
    if isinstance(error, stripe.InvalidRequestError):
        log.warning("stripe rejected a call: %s %s", error.code, error.param)
        kind = Missing if error.code == "resource_missing" else Rejected
        return kind(error.code or "invalid_request")
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        log.error("stripe refused the key: %s", error.code)
        return Rejected(error.code or "authentication")
    # Resets, timeouts, 5xx, and 409: another call under the same key is still running.
    log.warning("stripe gave no answer: %s", type(error).__name__)
    return Unknown(type(error).__name__)


def plain(answer: Any) -> dict[str, Any]:
    made: dict[str, Any] = answer.to_dict()
    return made


def plain_error(error: stripe.StripeError) -> Mapping[str, Any]:
    body = error.json_body
    return body.get("error", {}) if isinstance(body, dict) else {}


def mode(api_key: str | None) -> PaymentsMode:
    """Where a key sends payments; none: to the sandbox. ValueError for what is no secret key."""
    if api_key is None:
        return PaymentsMode.SANDBOX
    for kind, found in (("test", PaymentsMode.TEST), ("live", PaymentsMode.LIVE)):
        if api_key.startswith((f"sk_{kind}_", f"rk_{kind}_")):
            return found
    raise ValueError("is no secret key of Stripe's: it begins with sk_test_, sk_live_ or rk_")
