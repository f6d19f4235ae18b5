"""The outermost middleware: each request gets an id, a measurement, and a line in the log."""

import itertools
import logging
import re
import secrets
import time
from contextlib import AbstractContextManager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.measures import REQUEST_SECONDS
from models.request_facts import CURRENT, RequestFacts
from models.tracing import NO_SPAN, TRACING, Span, SpanKind
from server.http.errors import CLIENT_CLOSED
from server.http.proxies import Proxies
from server.logs import REQUEST_LINE, REQUESTS

# The first parts of this server's addresses. All others are one route.
ROUTES = frozenset(
    "graphql documents export record ingest stripe portal sandbox graphiql livez readyz"
    " metrics".split()
)
NAMED = {429: "rate_limited", CLIENT_CLOSED: "closed", 503: "unavailable"}
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HEADER = b"x-request-id"
SERVER_ERROR = 500
# The ids that are taken from a proxy.
ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class ObservedRequests:
    """Middleware that observes each request until its response has been sent."""

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self.app, self.proxies = app, proxies
        # Ids are unique, and no secrets.
        self.prefix, self.numbers = secrets.token_hex(6), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        facts = RequestFacts(self.id_of_proxy(scope) or f"{self.prefix}-{next(self.numbers):x}")
        began, status = time.perf_counter(), 500
        header = HEADER, facts.id.encode()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        current = CURRENT.set(facts)
        try:
            with self.span_of(scope) as span:
                try:
                    await self.app(scope, receive, noting)
                finally:
                    if span is not None:
                        note_span(span, scope, status, facts)
        finally:
            CURRENT.reset(current)
            seconds, route = time.perf_counter() - began, route_of(scope["path"])
            is_refused = facts.code is not None and status < 400
            outcome = "refused" if is_refused else outcome_of(status)
            REQUEST_SECONDS.observe(seconds, route, outcome)
            if REQUESTS.isEnabledFor(logging.INFO):
                write_line(scope["method"], route, status, seconds, facts)

    def span_of(self, scope: Scope) -> AbstractContextManager[Span | None]:
        """Return the context of a request's span, which continues a trusted proxy's trace."""
        if TRACING.tracer is None:
            return NO_SPAN
        given = [value for name, value in scope["headers"] if name == b"traceparent"]
        client = scope.get("client")
        is_trusted = len(given) == 1 and client and client[0] in self.proxies
        parent = given[0].decode("latin-1") if is_trusted else None
        return TRACING.tracer.span("request", SpanKind.SERVER, {}, parent)

    def id_of_proxy(self, scope: Scope) -> str | None:
        """Return the id that a trusted proxy gave the request."""
        given = [value for name, value in scope["headers"] if name == HEADER]
        if len(given) != 1 or not ID.fullmatch(given[0]):
            return None
        client = scope.get("client")
        return given[0].decode() if client and client[0] in self.proxies else None


def note_span(span: Span, scope: Scope, status: int, facts: RequestFacts) -> None:
    """Give a request's span its name and attributes: the facts of its line in the log."""
    route = route_of(scope["path"])
    span.rename(facts.operation or route)
    known = {
        "http.request.method": scope["method"] if scope["method"] in METHODS else "other",
        "http.route": route,
        "http.response.status_code": status,
        "portal.request_id": facts.id,
        "portal.operation": facts.operation,
        "portal.viewer": facts.viewer,
        "portal.code": facts.code,
    }
    span.note({name: value for name, value in known.items() if value is not None})
    if status >= SERVER_ERROR:
        span.fail(facts.code or str(status))


def write_line(method: str, route: str, status: int, seconds: float, facts: RequestFacts) -> None:
    REQUEST_LINE.write(
        {
            "requestId": facts.id,
            "method": method if method in METHODS else "other",
            "route": route,
            "operation": facts.operation,
            "viewer": facts.viewer,
            "status": status,
            "code": facts.code,
            "ms": round(seconds * 1_000, 2),
            "statementMs": round(facts.statement_s * 1_000, 2) if facts.statement_s else None,
        }
    )


def route_of(path: str) -> str:
    first = path[1:].partition("/")[0]
    return first if first in ROUTES else "other"


def outcome_of(status: int) -> str:
    if status < 400:
        return "ok"
    return NAMED.get(status) or ("refused" if status < 500 else "error")
