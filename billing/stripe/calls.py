"""A call of Stripe's API and its outcome: a response, or one of these errors.

StripeTrouble
├── Rejected        Stripe refused the request and did nothing
│   ├── Declined    the bank refused the card
│   └── Missing     Stripe has no such object in this account
└── Unknown         the outcome is unknown: read the object, never guess
    └── Forbidden   the key has no access to this account, which says nothing about the object
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import stripe

from billing.payments.status import OWN
from billing.stripe.declines import decline_reason
from billing.stripe.release import API_VERSION
from models import DeclineReason

if TYPE_CHECKING:
    from stripe import RequestOptions
    from stripe._v1_services import V1Services

T = TypeVar("T")

# The pauses between tries of a call. The SDK itself does not retry.
BACKOFFS_S = (0.2, 0.5, 1.0)
# The time in seconds after which no further try begins.
TRIES_END_AFTER_S = 15.0
SERVER_ERROR, CONFLICT = 500, 409

log = logging.getLogger("portal.stripe")


class StripeTrouble(Exception):
    """A call without a successful response."""


class Rejected(StripeTrouble):
    """Stripe refused the request and did nothing. `param` is the parameter at fault."""

    def __init__(self, code: str, param: str | None = None) -> None:
        super().__init__(code)
        self.code, self.param = code, param


class Declined(Rejected):
    """The bank refused the card, or Stripe reports another call as failed for that reason."""

    def __init__(self, code: str, reason: DeclineReason) -> None:
        super().__init__(code)
        self.reason = reason


class Missing(Rejected):
    """Stripe has no such object in this account."""


class Unknown(StripeTrouble):
    """The outcome is unknown: read the object, never guess."""


class Forbidden(Unknown):
    """The key has no access to this account: it was revoked, restricted or deauthorised."""


def sdk_services(api_key: str, base: str | None, http: stripe.HTTPXClient) -> "V1Services":
    """Return the SDK's services, at Stripe or at another address."""
    made = stripe.StripeClient(
        api_key,
        stripe_version=API_VERSION,
        base_addresses={"api": base} if base else {},
        http_client=http,
        max_network_retries=0,
    )
    return made.v1


def request_options(account: str, key: str | None = None) -> "RequestOptions":
    """Return a call's options: its account, and its idempotency key.

    Without an account the call would go to the platform's own account, which only OWN may select.
    """
    if not account:
        raise Forbidden("no account")
    made: RequestOptions = {}
    if account != OWN:
        made["stripe_account"] = account
    if key is not None:
        made["idempotency_key"] = key
    return made


async def call_once(call: Callable[[], Awaitable[T]]) -> T:
    """Return the response of a call that may move money.

    Only a call that Stripe has certainly not begun is retried; other SDK errors become ours.
    """
    for backoff_s in (*BACKOFFS_S, None):
        try:
            return await call()
        except stripe.RateLimitError as error:
            if backoff_s is None:
                raise trouble(error) from None
            await pause(backoff_s)
        except (stripe.StripeError, httpx.HTTPError) as error:
            raise trouble(error) from None
    raise AssertionError("the last try returns or raises")


async def call_repeatedly(call: Callable[[int], Awaitable[T]]) -> T:
    """Return the response of a call that moves no money. Retry it if there was no response.

    `call` takes the number of its idempotency key. A lost response is requested under the same key.
    Stripe stores a server error under its key, and likewise another request: then the next key is
    used.
    """
    number, until = 1, asyncio.get_running_loop().time() + TRIES_END_AFTER_S
    for backoff_s in (*BACKOFFS_S, None):
        try:
            return await call(number)
        except (stripe.StripeError, httpx.HTTPError) as error:
            is_late = asyncio.get_running_loop().time() > until
            if backoff_s is None or is_late or not may_be_tried_again(error):
                raise trouble(error) from None
            number += is_saved(error)
        await pause(backoff_s)
    raise AssertionError("the last try returns or raises")


def may_be_tried_again(error: Exception) -> bool:
    """Return whether the same call may get another response."""
    if isinstance(error, httpx.HTTPError | stripe.APIConnectionError | stripe.RateLimitError):
        return True
    if isinstance(error, stripe.IdempotencyError):
        return True
    status = error.http_status if isinstance(error, stripe.StripeError) else None
    return status is not None and (status >= SERVER_ERROR or status == CONFLICT)


def is_saved(error: Exception) -> bool:
    """Return whether Stripe repeats this response under the same key."""
    if isinstance(error, stripe.IdempotencyError):
        return True
    status = error.http_status if isinstance(error, stripe.StripeError) else None
    return status is not None and status >= SERVER_ERROR


async def pause(backoff_s: float) -> None:
    await asyncio.sleep(backoff_s * random.uniform(0.5, 1))  # noqa: S311 (jitter)


def trouble(error: Exception) -> StripeTrouble:
    """Return our error for an SDK error, without its text, which may quote the request."""
    if isinstance(error, stripe.CardError):
        reason = decline_reason(error.code, plain_error(error).get("decline_code"))
        return Declined(error.code or "card_declined", reason)
    if isinstance(error, stripe.InvalidRequestError):
        log.warning("stripe rejected a call: %s %s", error.code, error.param)
        kind = Missing if error.code == "resource_missing" else Rejected
        return kind(error.code or "invalid_request", error.param)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        log.error("alert: stripe refuses the key in this account: %s", error.code)
        return Forbidden(error.code or "forbidden")
    # These are resets, timeouts, 5xx, and 409: another call under the same key is still running.
    log.warning("stripe gave no answer: %s", type(error).__name__)
    return Unknown(type(error).__name__)


def plain_error(error: stripe.StripeError) -> Mapping[str, Any]:
    body = error.json_body
    return body.get("error", {}) if isinstance(body, dict) else {}


def to_dict(answer: Any) -> dict[str, Any]:
    made: dict[str, Any] = answer.to_dict()
    return made
