"""POST /stripe/webhook: an event is verified, written down, and answered at once."""

from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from billing.charging import inbox
from billing.gateway.objects import NotAnEvent
from billing.till import Till

# Stripe's events are smaller by far.
MAX_BODY = 2**20


class Webhook:
    """`hurry` tells the worker that there is mail."""

    def __init__(self, till: Till, hurry: Callable[[], None]) -> None:
        self.till, self.hurry = till, hurry

    async def answer(self, request: Request) -> Response:
        content = bytearray()
        try:
            async for chunk in request.stream():
                content += chunk
                if len(content) > MAX_BODY:
                    return PlainTextResponse("too large\n", 413)
            signature = request.headers.get("stripe-signature")
            event = self.till.stripe.event(bytes(content), signature, self.till.now())
        except (NotAnEvent, ClientDisconnect):
            return PlainTextResponse("not an event that Stripe signed just now\n", 400)
        await inbox.receive(self.till, event)
        self.hurry()
        return PlainTextResponse("ok\n")
