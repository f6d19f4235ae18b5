"""Idempotency keys, as at Stripe (docs.stripe.com/api/idempotent_requests).

The first response under a key is stored once the call's work has begun, including a 400, a 402 and
a 500. Errors before any work are not stored: wrong parameters, a refused API key, too many
requests, and a second call under the same key at the same time. After a day a key is new again.
"""

import hashlib

from sandbox.errors import StripeError, invalid
from sandbox.store import Store

LIFETIME_S = 24 * 60 * 60
LONGEST = 255


def call_hash(called: str, body: str) -> str:
    """Return a hash of a call: a key is only valid for calls with the same hash."""
    return hashlib.sha256(f"{called}?{body}".encode()).hexdigest()


def check_key_length(key: str | None) -> None:
    if key is not None and not 0 < len(key) <= LONGEST:
        raise invalid(f"Idempotency keys have 1 to {LONGEST} characters.")


def saved(store: Store, account: str, key: str | None, asked: str) -> tuple[int, str] | None:
    """Return the status and body that are stored under a key, if there are any."""
    if key is None:
        return None
    found = store.answer(account, key, store.now() - LIFETIME_S)
    if found is None:
        return None
    if found[0] != asked:
        raise StripeError(
            400,
            "idempotency_error",
            "Keys for idempotent requests can only be used with the same parameters they were first"
            f" used with. Try using a key other than '{key}' if you meant to execute a different"
            " request.",
        )
    return found[1], found[2]


def in_use(key: str) -> StripeError:
    return StripeError(
        409,
        "invalid_request_error",
        "There is currently another in-progress request using this Idempotent Key (that probably"
        f" means you submitted twice, and the other request is still going through): {key}. Please"
        " try again later.",
        code="idempotency_key_in_use",
    )
