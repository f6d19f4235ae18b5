"""Load over several connections, each with a request as soon as the last one is answered.

The protocol is our own, since a client library would take more CPU than the servers. A request with
a `PLACE` is never sent twice: each time it contains another number.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import orjson

from bench.figures import Round, percentile
from bench.operations import PLACE, Asked

HOST = "127.0.0.1"
OK = b"HTTP/1.1 200 "
# A number has the length of its place: digits of a run, and of a request in the run.
RUN_DIGITS, DIGITS = 4, 8
RUNS = itertools.count()
GIVES_UP_AFTER_S = 60
HEAD_ENDS, LINE_ENDS = b"\r\n\r\n", b"\r\n"
LENGTH, IN_CHUNKS = b"\r\ncontent-length: ", b"\r\ntransfer-encoding: chunked\r\n"


class NotAnswered(Exception):
    """A response other than a 200 with the expected number of bytes."""


@dataclass(frozen=True)
class Exchange:
    """A whole request, the body of its response, and the bytes of the whole response."""

    request: bytes
    body: bytes
    size: int


def request(asked: Asked) -> bytes:
    body = orjson.dumps(asked.body)
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {asked.token}\r\n"
        "Accept: application/json\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def numbers() -> Iterator[bytes]:
    """Yield the numbers in the requests of a run."""
    run = next(RUNS)
    return (b"%0*d%0*d" % (RUN_DIGITS, run, DIGITS, number) for number in itertools.count())


def numbered(request: bytes, number: bytes) -> bytes:
    return request.replace(PLACE.encode(), number)


async def load(port: int, exchanges: Sequence[Exchange], connections: int, seconds: float) -> Round:
    """Send as many requests as are answered in this many seconds, taking turns between the
    exchanges.

    Requests under way at the end are waited for.
    """
    loop = asyncio.get_running_loop()
    took: list[float] = []
    numbered, opened = numbers(), []
    began = time.perf_counter()
    for number in range(connections):
        own = Connection(turned(exchanges, number, connections), numbered, took)
        await loop.create_connection(lambda own=own: own, HOST, port)  # type: ignore[misc]
        opened.append(own)
    ended = asyncio.gather(*(connection.ended for connection in opened))
    await asyncio.wait([ended], timeout=seconds)
    for connection in opened:
        connection.running = False
    try:
        await asyncio.wait_for(ended, GIVES_UP_AFTER_S)
    except TimeoutError:
        error(f"no answer within {GIVES_UP_AFTER_S} s")
    lasted = time.perf_counter() - began
    return Round(len(took), lasted, percentile(took, 50), percentile(took, 99), len(took))


def turned(exchanges: Sequence[Exchange], number: int, of: int) -> list[Exchange]:
    """Return all exchanges, with another start for each of this many connections."""
    start = number * len(exchanges) // of
    return [*exchanges[start:], *exchanges[:start]]


class Connection(asyncio.Protocol):
    """Connection that sends requests until it is stopped; `ended` is done after the
    last response.
    """

    def __init__(
        self, exchanges: Iterable[Exchange], numbers: Iterator[bytes], took: list[float]
    ) -> None:
        self.exchanges, self.numbers = itertools.cycle(exchanges), numbers
        self.took, self.running = took, True
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked = next(self.exchanges)
        sent = numbered(self.asked.request, next(self.numbers))
        self.since = time.perf_counter()
        self.transport.write(sent)

    def data_received(self, data: bytes) -> None:
        self.received += data
        body = whole_body(self.received)
        if body is None:
            return
        self.took.append(time.perf_counter() - self.since)
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
    """Return the response's body, once all of it has arrived."""
    head_ends = received.find(HEAD_ENDS)
    if head_ends < 0:
        return None
    head, start = bytes(received[: head_ends + len(LINE_ENDS)]).lower(), head_ends + len(HEAD_ENDS)
    if IN_CHUNKS in head:
        return joined(received, start)
    _, _, rest = head.partition(LENGTH)
    length = int(rest.partition(LINE_ENDS)[0])
    return bytes(received[start:]) if len(received) >= start + length else None


def joined(received: bytearray, start: int) -> bytes | None:
    """Return the joined chunks, once the last one has arrived, which is empty."""
    chunks: list[bytes] = []
    while (line_ends := received.find(LINE_ENDS, start)) >= 0:
        size = int(received[start:line_ends], 16)
        begins = line_ends + len(LINE_ENDS)
        start = begins + size + len(LINE_ENDS)
        if len(received) < start:
            return None
        if size == 0:
            return b"".join(chunks)
        chunks.append(bytes(received[begins : begins + size]))
    return None


def shown(received: bytes | bytearray) -> str:
    """Return the status and the beginning of the body, on one line."""
    head, _, body = bytes(received).partition(HEAD_ENDS)
    text = (head.partition(LINE_ENDS)[0] + b": " + body[:500]).decode(errors="replace")
    return " ".join(text.split())


@dataclass(frozen=True)
class Answer:
    """A response's body, the bytes of the whole response, and its seconds."""

    body: bytes
    size: int
    took: float


async def answers(port: int, requests: Iterable[bytes]) -> list[Answer]:
    """Send the requests one after the other, and return the responses."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        return [
            await asyncio.wait_for(answer(reader, writer, sent), GIVES_UP_AFTER_S)
            for sent in map(numbered, requests, numbers())
        ]
    except TimeoutError:
        raise NotAnswered(f"no answer within {GIVES_UP_AFTER_S} s") from None
    finally:
        writer.close()
        await writer.wait_closed()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> Answer:
    began = time.perf_counter()
    writer.write(sent)
    received = bytearray()
    while (body := whole_body(received)) is None:
        received += await reader.read(2**20) or error("the server closed the connection")
    if not received.startswith(OK):
        error(shown(received))
    return Answer(body, len(received), time.perf_counter() - began)


def error(message: str) -> NoReturn:
    raise NotAnswered(message)
