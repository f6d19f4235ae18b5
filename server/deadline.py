"""The deadline of a request: whoever asks has an answer in time, if only that there is none."""

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.database import DatabaseUnavailable
from server.graphql import RETRY_AFTER_S, failed, refused

# Addresses that answer in JSON.
JSON_ADDRESSES = ("/graphql", "/export/")


class Deadline:
    """Answers 503 in the place of an application that has not begun its answer in time.

    What the application does for the request is cancelled then, as where its client hangs up. An
    answer that has begun may take as long as it likes.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = asyncio.timeout(self.seconds)

        async def answer(message: Message) -> None:
            limit.reschedule(None)
            await send(message)

        try:
            async with limit:
                await self.app(scope, receive, answer)
        except TimeoutError:
            if not limit.expired():
                raise
            await late(Request(scope))(scope, receive, send)


def late(request: Request) -> Response:
    """Return the answer to a request whose own answer is late."""
    error = DatabaseUnavailable("no answer in time")
    if request.url.path.startswith(JSON_ADDRESSES):
        return refused(request, failed(error))
    failed(error)
    return PlainTextResponse("no answer in time\n", 503, {"Retry-After": RETRY_AFTER_S})
