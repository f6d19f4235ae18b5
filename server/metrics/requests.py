"""Durations and outcomes of requests."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.measures import REQUEST_SECONDS
from server.http.graphql import CLIENT_CLOSED, OUTCOME

# The first parts of this server's addresses. All others are one route.
ROUTES = frozenset(
    "graphql documents export stripe portal sandbox graphiql livez readyz metrics".split()
)
NAMED = {429: "rate_limited", CLIENT_CLOSED: "closed", 503: "unavailable"}


class MeasuredRequests:
    """Middleware that measures each request until its response has been sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            outcome = scope.get(OUTCOME) or outcome_of(status)
            REQUEST_SECONDS.observe(time.perf_counter() - began, route_of(scope["path"]), outcome)


def route_of(path: str) -> str:
    first = path[1:].partition("/")[0]
    return first if first in ROUTES else "other"


def outcome_of(status: int) -> str:
    if status < 400:
        return "ok"
    return NAMED.get(status) or ("refused" if status < 500 else "error")
