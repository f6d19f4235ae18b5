"""The fast path of POST /graphql, before all other middleware, for repeated requests.

It only handles requests in their most common form. Any other request, and any without a cached
result, goes on unchanged to the normal path, which also raises all errors.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution.authentication import CachedSession
from server.http.bodies import STRANGERS_BODY
from server.http.deadline import unanswered
from server.http.disconnects import Disconnected, cancelled_on_disconnect
from server.http.graphql import CLIENT_CLOSED, HEADERS, Endpoint, error_for_client, refusal_response
from server.http.media_types import GRAPHQL_JSON, JSON, response_type

PATH = "/graphql"
TYPES = (b"application/json", b"application/json; charset=utf-8")
# The digits of the largest allowed Content-Length.
LONGEST = len(str(STRANGERS_BODY))
# The number of chunks of a body that are read here.
PIECES = 8
Headers = list[tuple[bytes, bytes]]


class FastPath:
    """The fast path. `hosts` are the allowed host names; `origins` creates the CORS middleware;
    `seconds` is the deadline of a request."""

    def __init__(
        self,
        app: ASGIApp,
        endpoint: Endpoint,
        hosts: Sequence[str],
        origins: Callable[[ASGIApp], CORSMiddleware],
        seconds: float,
    ) -> None:
        self.app, self.endpoint, self.origins = app, endpoint, origins
        self.seconds = seconds
        self.hosts = frozenset(host.encode() for host in hosts)
        self.websites = origins(app)
        simple = self.websites.simple_headers.items()
        self.for_websites = [(name.lower().encode(), value.encode()) for name, value in simple]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_by_name(scope["headers"]) if is_asked(scope) else {}
        type_, session = response_type_of(headers), self.cached_session(headers)
        if type_ is None or session is None:
            await self.app(scope, receive, send)
            return
        messages, content = await receive_body(receive)
        client = scope.get("client")
        try:
            reading = partial(cancelled_on_disconnect, receive)
            async with asyncio.timeout(self.seconds):
                body = await self.endpoint.answer_repeated(
                    content, session, client and client[0], reading
                )
        except Disconnected:
            await Response(status_code=CLIENT_CLOSED)(scope, receive, send)
            return
        except (TimeoutError, asyncio.CancelledError) as error:
            is_late = isinstance(error, TimeoutError)
            words = "no answer in time" if is_late else "the process ends"
            response = unanswered(Request(scope), words)
            await self.origins(response)(scope, receive, send)
            return
        except Exception as error:
            response = refusal_response(Request(scope), error_for_client(error))
            await self.origins(response)(scope, receive, send)
            return
        if body is None:
            await self.app(scope, replay(messages, receive), send)
            return
        written = [(b"content-length", b"%d" % len(body)), *self.response_headers(type_, headers)]
        await send({"type": "http.response.start", "status": 200, "headers": written})
        await send({"type": "http.response.body", "body": body})

    def cached_session(self, headers: Mapping[bytes, bytes]) -> CachedSession | None:
        """Return the last known bearer of the token, for a request in the common form, else None.

        The body is not read for an unknown sender.
        """
        name, _, port = headers.get(b"host", b"").partition(b":")
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        is_plain = (
            headers.get(b"content-type") in TYPES
            and b"content-encoding" not in headers
            and is_small(headers.get(b"content-length", b""))
            and (name in self.hosts or b"*" in self.hosts)
            and (not port or port.isdigit())
            and scheme == b"Bearer"
        )
        return (
            self.endpoint.authenticator.cached_session(token.decode("latin-1"))
            if is_plain
            else None
        )

    def response_headers(self, type_: str, headers: Mapping[bytes, bytes]) -> Headers:
        """Return the headers of a response, as the normal path sets them."""
        origin = headers.get(b"origin")
        if origin is None:
            return WRITTEN[type_]
        given = [*WRITTEN[type_], *self.for_websites]
        one = not self.websites.allow_all_origins
        if one and self.websites.is_allowed_origin(origin.decode("latin-1")):
            given.append((b"access-control-allow-origin", origin))
        return given


def common(type_: str) -> Headers:
    """Return the headers that all responses of a type have."""
    found = {
        **HEADERS,
        "Vary": f"{HEADERS['Vary']}, Origin",
        "Content-Type": f"{type_}; charset=utf-8",
    }
    return [(name.lower().encode(), value.encode()) for name, value in found.items()]


WRITTEN = {type_: common(type_) for type_ in (JSON, GRAPHQL_JSON)}


def is_asked(scope: Scope) -> bool:
    return scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", PATH)


def headers_by_name(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by name, or none if one is repeated: the normal path handles such
    requests.
    """
    by_name = dict(headers)
    return by_name if len(by_name) == len(headers) else {}


def response_type_of(headers: Mapping[bytes, bytes]) -> str | None:
    accept = headers.get(b"accept")
    return response_type(None if accept is None else accept.decode("latin-1"))


def is_small(length: bytes) -> bool:
    """Return whether a declared length is allowed for every client."""
    return length.isdigit() and len(length) <= LONGEST and int(length) <= STRANGERS_BODY


async def receive_body(receive: Receive) -> tuple[list[Message], bytes]:
    """Return the messages of a body, and the body, which is empty if it has too many chunks or ends
    early.
    """
    messages = [await receive()]
    while messages[-1].get("more_body") and len(messages) < PIECES:
        messages.append(await receive())
    is_whole = messages[-1]["type"] == "http.request" and not messages[-1].get("more_body")
    return messages, b"".join(message.get("body", b"") for message in messages) if is_whole else b""


def replay(messages: Sequence[Message], receive: Receive) -> Receive:
    """Return a receive function that repeats the given messages first."""
    waiting = deque(messages)

    async def again() -> Message:
        return waiting.popleft() if waiting else await receive()

    return again
