"""The short way of POST /graphql, ahead of all other middleware: for what was asked before.

It knows only requests as most clients write them. Any other, and any that nothing is remembered of,
goes on untouched, and whatever there is to refuse is refused there.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.deadline import unanswered
from server.disconnects import Disconnected, cancelled_on_disconnect
from server.graphql import CLIENT_CLOSED, GRAPHQL_JSON, HEADERS, JSON, Endpoint, failed, refused

PATH = "/graphql"
TYPES = (b"application/json", b"application/json; charset=utf-8")
# In so many pieces at most a body comes of itself.
PIECES = 8
Headers = list[tuple[bytes, bytes]]


class Express:
    """`hosts` are those that may be asked by; `origins` makes the middleware that says which
    websites may ask."""

    def __init__(
        self,
        app: ASGIApp,
        endpoint: Endpoint,
        hosts: Sequence[str],
        origins: Callable[[ASGIApp], CORSMiddleware],
    ) -> None:
        self.app, self.endpoint, self.origins = app, endpoint, origins
        self.hosts = frozenset(host.encode() for host in hosts)
        self.websites = origins(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = first_of_each(scope["headers"]) if is_asked(scope) else {}
        token = self.token(headers)
        if token is None:
            await self.app(scope, receive, send)
            return
        messages, content = await received(receive)
        client = scope.get("client")
        try:
            reading = partial(cancelled_on_disconnect, receive)
            body = await self.endpoint.again(content, token, client and client[0], reading)
        except Disconnected:
            await Response(status_code=CLIENT_CLOSED)(scope, receive, send)
            return
        except asyncio.CancelledError:
            response = unanswered(Request(scope), "the process ends")
            await self.origins(response)(scope, receive, send)
            return
        except Exception as error:
            response = refused(Request(scope), failed(error))
            await self.origins(response)(scope, receive, send)
            return
        if body is None:
            await self.app(scope, after(messages, receive), send)
            return
        written = [(b"content-length", b"%d" % len(body)), *self.written(headers)]
        await send({"type": "http.response.start", "status": 200, "headers": written})
        await send({"type": "http.response.body", "body": body})

    def token(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The token of a request with the headers that most have; nothing of any other."""
        name, _, port = headers.get(b"host", b"").partition(b":")
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        is_plain = (
            headers.get(b"content-type") in TYPES
            and (name in self.hosts or b"*" in self.hosts)
            and (not port or port.isdigit())
            and scheme == b"Bearer"
        )
        return token.decode("latin-1") if is_plain else None

    def written(self, headers: Mapping[bytes, bytes]) -> Headers:
        """The headers of an answer, as the long way gives them."""
        newer = GRAPHQL_JSON.encode() in headers.get(b"accept", b"")
        origin = headers.get(b"origin")
        if origin is None or not self.websites.is_allowed_origin(origin.decode("latin-1")):
            return WRITTEN[newer]
        allowed = b"*" if self.websites.allow_all_origins else origin
        return [*WRITTEN[newer], (b"access-control-allow-origin", allowed)]


def common(type_: str) -> Headers:
    """The headers that all answers of a type have."""
    found = {
        **HEADERS,
        "Vary": f"{HEADERS['Vary']}, Origin",
        "Content-Type": f"{type_}; charset=utf-8",
    }
    return [(name.lower().encode(), value.encode()) for name, value in found.items()]


# By whether the client reads the newer type.
WRITTEN = {False: common(JSON), True: common(GRAPHQL_JSON)}


def is_asked(scope: Scope) -> bool:
    return scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", PATH)


def first_of_each(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name; of those that are there twice the first, as Starlette reads them."""
    return dict(reversed(headers))


async def received(receive: Receive) -> tuple[list[Message], bytes]:
    """The messages that a body comes in, and the body: nothing of one that comes in many pieces, or
    ends early."""
    messages = [await receive()]
    while messages[-1].get("more_body") and len(messages) < PIECES:
        messages.append(await receive())
    is_whole = messages[-1]["type"] == "http.request" and not messages[-1].get("more_body")
    return messages, b"".join(message.get("body", b"") for message in messages) if is_whole else b""


def after(messages: Sequence[Message], receive: Receive) -> Receive:
    """Gives messages that were received once more, and then those that follow them."""
    waiting = deque(messages)

    async def again() -> Message:
        return waiting.popleft() if waiting else await receive()

    return again
