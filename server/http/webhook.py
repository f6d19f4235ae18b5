"""The webhook, POST /stripe/webhook: an event is verified, stored, and answered at once."""

import logging
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from billing.payments import webhook_inbox
from billing.payments.context import PaymentContext
from billing.security_events import WEBHOOK_REFUSED
from billing.stripe.objects import NotAnEvent
from models.database import TransientError
from server.http.bodies import (
    STRANGERS_BODY,
    BodyRefused,
    LargeBodies,
    NoMemoryLeft,
    RequestBody,
    TooLarge,
)

# Stripe's events are much smaller.
MAX_BODY = 2**18
SENDER = "webhook"

log = logging.getLogger("portal.payments")


class Webhook:
    """The endpoint for Stripe's events. `hurry` wakes the inbox's worker."""

    def __init__(
        self,
        context: PaymentContext,
        hurry: Callable[[], None],
        large_bodies: LargeBodies | None = None,
    ) -> None:
        self.till, self.hurry = context, hurry
        self.large_bodies = large_bodies or LargeBodies()

    async def answer(self, request: Request) -> Response:
        try:
            # A repeated header counts as another part of the first one, with a second time in it.
            signature = ",".join(request.headers.getlist("stripe-signature"))
            content = await self.content(RequestBody(request))
            event = self.till.stripe.event(content, signature, self.till.now())
        except TooLarge:
            return refused(413, "the body is too large", "TOO_LARGE")
        except NoMemoryLeft:
            return busy()
        except BodyRefused as reason:
            return refused(400, str(reason), "BAD_BODY")
        except NotAnEvent as reason:
            return refused(400, str(reason), "NOT_AN_EVENT")
        try:
            await webhook_inbox.receive(self.till, event)
        except TransientError as error:
            # Stripe retries for three days.
            log.warning("a webhook event was not stored: %s", error)
            return busy()
        self.hurry()
        return PlainTextResponse("ok\n")

    async def content(self, body: RequestBody) -> bytes:
        """Return the body. Its sender is only known once it is complete, so all large bodies
        together get no more memory than those of one other sender.
        """
        if not await body.read(STRANGERS_BODY):
            with self.large_bodies.room(SENDER, body):
                if not await body.read(MAX_BODY):
                    raise TooLarge(MAX_BODY)
        return body.decoded(MAX_BODY)


def busy() -> Response:
    return PlainTextResponse("not now: send it again\n", 503, {"Retry-After": "5"})


def refused(status: int, reason: str, code: str) -> Response:
    """Log why an event was refused, without its body, and return the response."""
    WEBHOOK_REFUSED.emit(code=code)
    log.warning("a webhook was refused: %s", reason)
    return PlainTextResponse(f"The event was refused: {reason}.\n", status)
