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


class WebhookEndpoint:
    """The endpoint for Stripe's events. `wake` wakes the inbox's worker."""

    def __init__(
        self,
        context: PaymentContext,
        wake: Callable[[], None],
        large_bodies: LargeBodies | None = None,
    ) -> None:
        self.context, self.wake = context, wake
        self.large_bodies = large_bodies or LargeBodies()

    async def answer(self, request: Request) -> Response:
        try:
            # A repeated header counts as another part of the first one, with a second time in it.
            signature = ",".join(request.headers.getlist("stripe-signature"))
            content = await self.content(RequestBody(request))
            event = self.context.stripe.event(content, signature, self.context.now())
        except TooLarge:
            return refuse_event(413, "the body is too large", "TOO_LARGE")
        except NoMemoryLeft:
            return busy_response()
        except BodyRefused as reason:
            return refuse_event(400, str(reason), "BAD_BODY")
        except NotAnEvent as reason:
            return refuse_event(400, str(reason), "NOT_AN_EVENT")
        try:
            await webhook_inbox.receive(self.context, event)
        except TransientError as error:
            # Stripe retries for three days.
            log.warning("a webhook event was not stored: %s", error)
            return busy_response()
        self.wake()
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


def busy_response() -> Response:
    return PlainTextResponse("not now: send it again\n", 503, {"Retry-After": "5"})


def refuse_event(status: int, reason: str, code: str) -> Response:
    """Log why an event was refused, without its body, and return the response."""
    WEBHOOK_REFUSED.emit(code=code)
    log.warning("a webhook was refused: %s", reason)
    return PlainTextResponse(f"The event was refused: {reason}.\n", status)
