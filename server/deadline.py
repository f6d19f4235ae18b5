"""The deadline of a request: whoever asks has an answer in time, if only that there is none."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.database import TransientError
from server.graphql import RETRY_AFTER_S, failed, refused

# Addresses that answer in JSON.
JSON_ADDRESSES = ("/graphql", "/export/")
# How long a request that was cancelled may take to let go of the database, and to be answered.
CANCELLED_WITHIN_S = 5.0


class Running:
    """The requests that are being answered now."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[object]] = set()

    @contextmanager
    def counted(self) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            yield
        finally:
            self.tasks.discard(task)

    async def ended(self) -> None:
        """Wait until all are answered. When a process ends, those left were cancelled just now."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=CANCELLED_WITHIN_S)


class Deadline:
    """Answers 503 in the place of an application that has not begun its answer in time.

    What the application does for the request is cancelled then, as where its client hangs up. An
    answer that has begun may take as long as it likes. A request that the server itself cancels,
    since its process ends, is answered in the same way.
    """

    def __init__(self, app: ASGIApp, seconds: float, running: Running) -> None:
        self.app, self.seconds, self.running = app, seconds, running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with self.running.counted():
            await self.in_time(scope, receive, send)

    async def in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = asyncio.timeout(self.seconds)
        has_begun = False

        async def answer(message: Message) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                limit.reschedule(None)
            await send(message)

        try:
            async with limit:
                await self.app(scope, receive, answer)
        except (TimeoutError, asyncio.CancelledError):
            if has_begun or not (limit.expired() or is_cancelled()):
                raise
            words = "no answer in time" if limit.expired() else "the process ends"
            await unanswered(Request(scope), words)(scope, receive, send)


def is_cancelled() -> bool:
    """Return whether the current task was told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def unanswered(request: Request, words: str) -> Response:
    """Return the answer to a request that has none of its own. `words`: the reason, for the log."""
    error = TransientError(words)
    if request.url.path.startswith(JSON_ADDRESSES):
        return refused(request, failed(error))
    failed(error)
    return PlainTextResponse("send the same again\n", 503, {"Retry-After": RETRY_AFTER_S})
