"""A call of Stripe's API, and what it may end in: an answer, or one of these.

StripeTrouble
├── Declined        by the bank
├── Rejected        Stripe won't do such a thing, and has not
│   └── Missing     Stripe has no such thing in this account
└── Unknown         nobody can tell whether it was done: ask, never guess
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
import stripe

from billing.gateway.objects import decline_reason
from billing.gateway.train import API_VERSION
from billing.payments import OWN
from models import DeclineReason

T = TypeVar("T")


# The SDK doesn't try again after 429.
BACKOFFS_S = (0.5, 1.0, 2.0)

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
