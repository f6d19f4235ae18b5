"""HTTP/1.1 by uvicorn, with deadlines and a limit of connections. Offers of HTTP/2 are ignored.

uvicorn waits forever for the rest of a request, and loses the body of a request that offers HTTP/2:
https://github.com/Kludex/uvicorn/issues/2722.
"""

import asyncio
import enum
import http
from itertools import chain
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.http.connections import NEVER, Connections

# The limits of a request's line and headers, in bytes, and of the number of headers.
MAX_HEAD, MAX_HEADERS = 2**15, 100
# The limit of a body's bytes that arrive after its request was answered.
MAX_IGNORED = 2**20
OFFERS = (b"upgrade", b"http2-settings")
RETRY_AFTER_S = 5
# The seconds for the rest of a body while the process ends.
LAST_BODY_S = 1.0
WORDS = {
    400: "This is not HTTP/1.1.",
    408: "The request took too long to arrive.",
    431: "The request's headers are too large.",
    503: "The server is busy: send the same again in a moment.",
}


class Stage(enum.Enum):
    """The progress of the connection's latest request."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    WHOLE = enum.auto()


class NotTaken(Exception):
    """A request that is not passed to the application."""


class LimitedProtocol(HttpToolsProtocol):
    """A client's connection. `connections` holds all connections of the process, including this
    one.
    """

    def __init__(self, *given: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*given, **named)
        self.all, self.limits = connections, connections.limits
        self.host: str | None = None
        self.stage = Stage.HEAD
        self.head_bytes = self.ignored_bytes = 0
        self.status_of_error = 400
        self.offers_upgrade = self.is_ending = False
        # The deadlines for the client to send the rest of a request, and to receive a response.
        self.due = self.send_due = NEVER

    # -- the connection ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.host = self.client[0] if self.client else None
        if self.all.admit(self, self.loop):
            self.due = self.loop.time() + self.limits.head_s
        else:
            self.refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        self.all.forget(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End the connection, after its current response if there is one.

        A request is answered too while its body is on its way: most clients send the head and the
        body in two packets. It is refused if the body does not arrive.
        """
        super().shutdown()
        if self.stage is Stage.BODY:
            self.is_ending = True
            self.due = min(self.due, self.loop.time() + LAST_BODY_S)

    def drop(self) -> None:
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.send_due = self.loop.time() + self.limits.send_s

    def resume_writing(self) -> None:
        super().resume_writing()
        self.send_due = NEVER

    # -- incoming data -----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self.stage is Stage.IDLE:
            self.expect_head()
        try:
            self.feed(data)
        except httptools.HttpParserError:
            self.refuse(self.status_of_error)
            return
        if self.stage is Stage.HEAD:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD:
                self.refuse(431)

    def feed(self, data: bytes) -> None:
        """Parse incoming data. A request that offers another protocol is parsed again without its
        offer, since the parser accepts no body after an offer.
        """
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(self.head_without_offer())

    def head_without_offer(self) -> bytes:
        headers = [(name, value) for name, value in self.headers if name not in OFFERS]
        kept = [
            (name, value if name != b"connection" else without_offers(value))
            for name, value in headers
        ]
        method, version = self.scope["method"].encode(), self.scope["http_version"].encode()
        line = b"%s %s HTTP/%s\r\n" % (method, self.url, version)
        return line + b"".join(b"%s: %s\r\n" % header for header in kept) + b"\r\n"

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.stage is not Stage.HEAD:
            self.expect_head()

    def on_headers_complete(self) -> None:
        self.offers_upgrade = self.parser.should_upgrade()
        if self.offers_upgrade and self.parser.get_method() != b"CONNECT":
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self.scope["http_version"] = self.parser.get_http_version()
            return
        if self.offers_upgrade or not self.url.isascii():
            raise NotTaken
        size = len(self.url) + sum(map(len, chain.from_iterable(self.headers)))
        if len(self.headers) > MAX_HEADERS or size > MAX_HEAD:
            self.status_of_error = 431
            raise NotTaken
        super().on_headers_complete()
        self.stage, self.due = Stage.BODY, self.loop.time() + self.limits.body_s

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self.ignored_bytes += len(body)
            if self.ignored_bytes > MAX_IGNORED:
                self.transport.abort()

    def on_message_complete(self) -> None:
        if self.offers_upgrade:
            return
        super().on_message_complete()
        self.stage, self.due = Stage.WHOLE, NEVER
        self.all.works(self)
        if self.cycle.response_complete:
            self.rest()

    def on_response_complete(self) -> None:
        is_next_begun = bool(self.pipeline)
        super().on_response_complete()
        if self.stage is Stage.WHOLE and not is_next_begun:
            self.rest()

    def expect_head(self) -> None:
        self.stage, self.head_bytes, self.ignored_bytes = Stage.HEAD, 0, 0
        self.due = self.loop.time() + self.limits.head_s

    def rest(self) -> None:
        """Wait for another request."""
        self.stage, self.due = Stage.IDLE, self.loop.time() + self.limits.keep_alive_s
        self.all.rests(self)

    # -- the end -----------------------------------------------------------------------------------

    def end_late(self, now: float) -> None:
        if self.transport.is_closing() and self.send_due == NEVER:
            # Its last bytes have not been received yet.
            self.send_due = now + self.limits.send_s
        if now > self.send_due:
            self.transport.abort()
        elif now > self.due and not self.transport.is_closing():
            self.end_waiting(now)

    def end_waiting(self, now: float) -> None:
        """End the wait for a client that is past its deadline."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if self.stage is Stage.BODY and self.flow.read_paused:
            # The application has not read the received data.
            self.due = now + self.limits.body_s
        elif self.stage is Stage.IDLE or (self.stage is Stage.HEAD and not self.head_bytes):
            self.transport.close()
        elif self.stage is Stage.BODY or not is_answering:
            self.refuse(503 if self.is_ending else 408)

    def refuse(self, status: int) -> None:
        """Answer in place of the application, unless it has started its response, and close."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        is_of_cycle = cycle is not None and (
            self.stage is Stage.BODY or not cycle.response_complete
        )
        if not is_of_cycle or not cycle.response_started:
            self.transport.write(self.refusal(status))
        if is_of_cycle:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def refusal(self, status: int) -> bytes:
        words = f"{WORDS[status]}\n".encode()
        retry = [(b"retry-after", b"%d" % RETRY_AFTER_S)] if status == 503 else []
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(words)),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
            *retry,
        ]
        line = f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n".encode()
        return line + b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + words


def without_offers(connection: bytes) -> bytes:
    """Return the value of a Connection header without the options of an offer."""
    options = (option.strip() for option in connection.split(b","))
    return b", ".join(option for option in options if option.lower() not in OFFERS)
