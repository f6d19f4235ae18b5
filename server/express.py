"""The short way of POST /graphql, ahead of all other middleware: for what was asked before.

It knows only requests as most clients write them. Any other, and any that nothing is remembered of,
goes on untouched, and whatever there is to refuse is refused there.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.graphql import GRAPHQL_JSON, HEADERS, JSON, Endpoint, failed, refused

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
        self.is_allowed_origin = origins(app).is_allowed_origin
        self.headers = lru_cache(1_000)(self.written)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        headers = first_of_each(scope["headers"])
        messages, content = await received(receive)
        try:
            body = await self.answer(scope, headers, content)
        except Exception as error:
            response = refused(Request(scope), failed(error))
            await self.origins(response)(scope, receive, send)
            return
        if body is None:
            await self.app(scope, after(messages, receive), send)
            return
        written = self.headers(
            headers.get(b"origin"), GRAPHQL_JSON.encode() in headers.get(b"accept", b"")
        )
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [length, *written]})
        await send({"type": "http.response.body", "body": body})

    async def answer(
        self, scope: Scope, headers: dict[bytes, bytes], content: bytes
    ) -> bytes | None:
        """The answer, if this is a request as most are, and was asked before."""
        host = headers.get(b"host", b"").partition(b":")[0]
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        is_plain = (
            headers.get(b"content-type") in TYPES
            and (host in self.hosts or b"*" in self.hosts)
            and scheme == b"Bearer"
        )
        if not is_plain:
            return None
        client = scope.get("client")
        return await self.endpoint.again(content, token.decode("latin-1"), client and client[0])

    def written(self, origin: bytes | None, newer: bool) -> Headers:
        """The headers of an answer, as the long way gives them."""
        type_ = f"{GRAPHQL_JSON if newer else JSON}; charset=utf-8"
        found = {**HEADERS, "Vary": f"{HEADERS['Vary']}, Origin", "Content-Type": type_}
        headers = [(name.lower().encode(), value.encode()) for name, value in found.items()]
        if origin is not None and self.is_allowed_origin(origin.decode("latin-1")):
            headers.append((b"access-control-allow-origin", origin))
        return headers


def first_of_each(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name; of those that are there twice the first, as Starlette reads them."""
    return dict(reversed(headers))


async def received(receive: Receive) -> tuple[list[Message], bytes]:
    """The messages that a body comes in, and the body: nothing of one that comes in many pieces."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        if len(messages) == PIECES:
            return messages, b""
        messages.append(await receive())
    return messages, b"".join(message.get("body", b"") for message in messages)


def after(messages: Sequence[Message], receive: Receive) -> Receive:
    """Gives messages that were received once more, and then those that follow them."""
    waiting = deque(messages)

    async def again() -> Message:
        return waiting.popleft() if waiting else await receive()

    return again
