"""A receiver of events: an HTTP server on a real socket, which behaves badly when it is told to."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks.webhooks import Webhook

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def status(code: int, *lines: str) -> bytes:
    """Return an answer with a status."""
    head = "\r\n".join([f"HTTP/1.1 {code} Told", *lines, "content-length: 0"])
    return f"{head}\r\n\r\n".encode()


@dataclass(frozen=True)
class Received:
    """A message as it arrived."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def type(self) -> str:
        return str(self.content["type"])

    def verify(self, secret: str) -> None:
        """Verify the signature with the library of Standard Webhooks, or raise its error."""
        Webhook(secret).verify(self.body, dict(self.headers))


# Returns the answer to a message; None: the connection is broken off without one.
Behaviour = Callable[[Received], Awaitable[bytes | None]]


async def accept(_: Received) -> bytes | None:
    return OK


@dataclass
class Receiver:
    """The messages that arrived at a receiver, and its behaviour."""

    port: int = 0
    behaviour: Behaviour = accept
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events?token=1"

    @property
    def types(self) -> list[str]:
        return [one.type for one in self.received]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                message = await read_message(reader)
                self.received.append(message)
                answer = await self.behaviour(message)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def read_message(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers["content-length"]))
    return Received(headers | {":request": head[0]}, body)


@asynccontextmanager
async def receiving(
    behaviour: Behaviour = accept, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Yield a listening receiver; with `tls` it speaks HTTPS."""
    receiver = Receiver(behaviour=behaviour)
    connections = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with suppress(asyncio.CancelledError):
            await receiver.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
