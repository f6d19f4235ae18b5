"""Requests over a few connections, each sent as soon as the one before is answered.

A protocol of its own, since a client library would take more of the machine than the servers do.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from bench.operations import Asked

CONNECTIONS = 16
HOST = "127.0.0.1"
OK = b"HTTP/1.1 200 "
HEAD_ENDS, LINE_ENDS, LENGTH = b"\r\n\r\n", b"\r\n", b"\r\ncontent-length: "


class NotAnswered(Exception):
    """A response that isn't a 200, or hasn't the bytes that are expected."""


@dataclass(frozen=True)
class Exchange:
    """A whole request as it is sent, and the body that answers it."""

    request: bytes
    body: bytes


@dataclass
class Round:
    """How long each request took, and the round: seconds."""

    took: list[float] = field(default_factory=list)
    lasted: float = 0


def request(asked: Asked) -> bytes:
    body = orjson.dumps(asked.body)
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {asked.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def load(port: int, exchanges: Sequence[Exchange], seconds: float) -> Round:
    """As many requests as are answered in so many seconds; the exchanges take turns."""
    loop, done = asyncio.get_running_loop(), Round()
    began = time.perf_counter()
    connections = []
    for number in range(CONNECTIONS):
        start = number * len(exchanges) // CONNECTIONS
        own = Connection([*exchanges[start:], *exchanges[:start]], done)
        await loop.create_connection(lambda own=own: own, HOST, port)  # type: ignore[misc]
        connections.append(own)
    ended = asyncio.gather(*(connection.ended for connection in connections))
    await asyncio.wait([ended], timeout=seconds)
    for connection in connections:
        connection.running = False
    await ended
    done.lasted = time.perf_counter() - began
    return done


class Connection(asyncio.Protocol):
    """Asks until it is told to stop; `ended` is done once the last answer is there."""

    def __init__(self, exchanges: Iterable[Exchange], done: Round) -> None:
        self.exchanges, self.done, self.running = itertools.cycle(exchanges), done, True
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked = next(self.exchanges)
        self.since = time.perf_counter()
        self.transport.write(self.asked.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        body = whole_body(self.received)
        if body is None:
            return
        self.done.took.append(time.perf_counter() - self.since)
        if body != self.asked.body or not self.received.startswith(OK):
            self.end(NotAnswered(shown(self.received)))
        elif not self.running:
            self.end(None)
        else:
            self.received.clear()
            self.ask()

    def end(self, error: Exception | None) -> None:
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
        self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or NotAnswered("the server closed the connection"))


def whole_body(received: bytearray) -> bytes | None:
    """The response's body, once all of it is there."""
    head_ends = received.find(HEAD_ENDS)
    if head_ends < 0:
        return None
    head = bytes(received[: head_ends + len(LINE_ENDS)]).lower()
    _, _, rest = head.partition(LENGTH)
    start, length = head_ends + len(HEAD_ENDS), int(rest.partition(LINE_ENDS)[0])
    return bytes(received[start:]) if len(received) >= start + length else None


def shown(received: bytes | bytearray) -> str:
    return bytes(received[:1_000]).decode(errors="replace")


async def answers(port: int, requests: Iterable[bytes]) -> list[bytes]:
    """The bodies that answer the requests, asked one after the other."""
    reader, writer = await asyncio.open_connection(HOST, port)
    bodies = []
    for sent in requests:
        writer.write(sent)
        received = bytearray()
        while (body := whole_body(received)) is None:
            received += await reader.read(2**20) or error("the server closed the connection")
        if not received.startswith(OK):
            error(shown(received))
        bodies.append(body)
    writer.close()
    await writer.wait_closed()
    return bodies


def error(message: str) -> bytes:
    raise NotAnswered(message)
