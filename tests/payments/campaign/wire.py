"""HTTP/1.1 messages with a Content-Length, as the faulty proxy reads and forwards them."""

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


class ConnectionEnded(Exception):
    """The other end closed its connection."""


@dataclass(frozen=True)
class Message:
    """A request or a response: its head, up to the empty line, and its body."""

    head: bytes
    body: bytes

    @property
    def start_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def all(self) -> bytes:
        return self.head + self.body

    def header(self, name: str) -> str | None:
        return header(self.head, name)


def header(head: bytes, name: str) -> str | None:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return None


async def read_message(reader: Reader) -> Message:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(header(head, "content-length") or 0)
        return Message(head, await reader.readexactly(length) if length else b"")
    except (asyncio.IncompleteReadError, ConnectionError):
        raise ConnectionEnded from None


async def exchange(host: str, port: int, request: Message) -> Message:
    """Send a request over a new connection and return its response."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except ConnectionError:
        raise ConnectionEnded from None
    try:
        writer.write(request.all)
        await writer.drain()
        return await read_message(reader)
    except ConnectionError:
        raise ConnectionEnded from None
    finally:
        writer.close()
