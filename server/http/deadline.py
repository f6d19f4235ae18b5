"""The deadline of a request: each client gets a response in time, even if it is an error."""

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.database import TransientError
from server.http.errors import RETRY_AFTER_S, error_for_client, refusal_response

# Addresses with JSON responses.
JSON_ADDRESSES = ("/graphql", "/export/", "/record/", "/ingest")
# The time for a cancelled request to release the database, and to be answered.
CANCELLED_WITHIN_S = 5.0


class RunningRequests:
    """The requests that are in progress."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[object]] = set()

    async def ended(self) -> None:
        """Wait until all requests have ended, shortly after a process that ends has
        cancelled them.
        """
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=CANCELLED_WITHIN_S)


class Deadline:
    """Middleware that answers 503 if the application has not started its response in time.

    The application's work for the request is then cancelled, as after a disconnect of the client. A
    response that has started has no time limit. A request that is cancelled because its process
    ends is answered in the same way.
    """

    def __init__(self, app: ASGIApp, seconds: float, running: RunningRequests) -> None:
        self.app, self.seconds, self.running = app, seconds, running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        task, running = asyncio.current_task(), self.running.tasks
        assert task is not None
        limit = asyncio.timeout(self.seconds)
        has_begun = False

        async def answer(message: Message) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                limit.reschedule(None)
            await send(message)

        running.add(task)
        try:
            async with limit:
                await self.app(scope, receive, answer)
        except (TimeoutError, asyncio.CancelledError):
            if has_begun or not (limit.expired() or task.cancelling()):
                raise
            words = "no answer in time" if limit.expired() else "the process ends"
            await unanswered(Request(scope), words)(scope, receive, send)
        finally:
            running.discard(task)


def unanswered(request: Request, words: str) -> Response:
    """Return the response to a request that got none. `words` is the reason, for the log."""
    error = TransientError(words)
    if request.url.path.startswith(JSON_ADDRESSES):
        return refusal_response(request, error_for_client(error))
    error_for_client(error)
    return PlainTextResponse("send the same again\n", 503, {"Retry-After": RETRY_AFTER_S})
