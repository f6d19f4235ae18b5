"""Faults on demand: errors, delays and lost connections of the next calls that match."""

import asyncio
import re
from dataclasses import dataclass

from starlette.requests import Request

from sandbox.errors import StripeError

# Messages by code, for the statuses with codes.
TOO_MANY = {
    "rate_limit": "Request rate limit exceeded.",
    "lock_timeout": "This object cannot be accessed right now because another API request or"
    " Stripe process is currently accessing it.",
}
IN_USE = "idempotency_key_in_use"
# The key of the function that closes a request's connection.
CLOSE = "sandbox.close"


class Dropped(Exception):
    """A connection that ended without a response."""


@dataclass
class Fault:
    """A fault of a call, before its work or `after`.

    `matches` is a regular expression for "POST payment_intents/…/confirm". `status` is the response
    instead (500, 503, 429, 409), after `delay_s`; for 429 `code` selects the error. `drop` closes
    the connection without a response. `twice` runs the call twice, and returns the second response.
    A 500 is stored under the call's idempotency key, as at Stripe; a 502, 503 or 504 is not, since
    the call reached no endpoint.
    """

    matches: str
    status: int | None = None
    after: bool = False
    delay_s: float = 0.0
    times: int = 1
    code: str | None = None
    drop: bool = False
    twice: bool = False

    def is_saved(self) -> bool:
        return self.status == 500

    def error(self) -> StripeError | None:
        if self.status is None:
            return None
        if self.status == 429:
            code = self.code or "rate_limit"
            return StripeError(429, "invalid_request_error", TOO_MANY[code], code=code)
        if self.status == 409:
            message = "There is currently another in-progress request using this Idempotent Key."
            return StripeError(409, "invalid_request_error", message, code=self.code or IN_USE)
        return StripeError(self.status, "api_error", "Something went wrong.", code=self.code)


def next_fault(coming: list[Fault], called: str) -> Fault | None:
    """Return the fault of this call, and count it."""
    for fault in coming:
        if fault.times > 0 and re.search(fault.matches, called):
            fault.times -= 1
            return fault
    return None


async def drop(request: Request) -> None:
    """Close the connection of a request, and end its work."""
    close = request.scope.get(CLOSE)
    if close is not None:
        close()
        # The server notices this in its next turn, and sends nothing afterwards.
        await asyncio.sleep(0)
    raise Dropped
