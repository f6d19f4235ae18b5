"""POST /stripe/webhook: an event is verified, written down, and answered at once."""

import logging
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from billing.charging import inbox
from billing.gateway.objects import NotAnEvent
from billing.till import Till
from models.database import TransientError

# Stripe's events are smaller by far.
MAX_BODY = 2**20

log = logging.getLogger("portal.payments")


class Webhook:
    """The endpoint for Stripe's events. `hurry` tells the worker that there is mail."""

    def __init__(self, till: Till, hurry: Callable[[], None]) -> None:
        self.till, self.hurry = till, hurry

    async def answer(self, request: Request) -> Response:
        content = bytearray()
        try:
            async for chunk in request.stream():
                content += chunk
                if len(content) > MAX_BODY:
                    return refused(413, "the body is too large")
            # A second header counts as a second part of the first, and has a second time in it.
            signature = ",".join(request.headers.getlist("stripe-signature"))
            event = self.till.stripe.event(bytes(content), signature, self.till.now())
        except ClientDisconnect:
            return refused(400, "the body ended early")
        except NotAnEvent as reason:
            return refused(400, str(reason))
        try:
            await inbox.receive(self.till, event)
        except TransientError as error:
            # Stripe sends it again, for three days.
            log.warning("a webhook was not written down: %s", error)
            return PlainTextResponse("not now: send it again\n", 503, {"Retry-After": "5"})
        self.hurry()
        return PlainTextResponse("ok\n")


def refused(status: int, reason: str) -> Response:
    """Answer and log why an event was not taken, without anything of its body."""
    log.warning("a webhook was refused: %s", reason)
    return PlainTextResponse(f"The event was not taken: {reason}.\n", status)
