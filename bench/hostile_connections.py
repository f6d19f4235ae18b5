"""Hostile callers that occupy connections: unfinished requests, and more of them than places."""

import asyncio
import resource
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

# Seconds after which a slow caller with an ended connection comes back.
BACK_AFTER_S = 1.0
HEADS, BODIES, LARGE_BODIES = 300, 250, 10
# Less than a body without a token may have, and nearly as much as any body may have.
SMALL, LARGE = 15 * 2**10, 1_000 * 2**10
HALF_HEAD = b"POST /graphql HTTP/1.1\r\nHost: portal\r\nX-Half: "
POST = b"POST /graphql HTTP/1.1\r\nHost: portal\r\nContent-Type: application/json\r\n"


class Target(Protocol):
    @property
    def clients(self) -> Sequence[str]:
        """Return the tokens of clients."""

    async def send(self, content: bytes) -> None:
        """Send bytes on a new connection, and wait for the response."""


async def occupies(target: Target, content: bytes, count: int) -> None:
    """Keep this many connections open that send half a request and wait."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2**14)), hard))
    async with asyncio.TaskGroup() as waiting:
        for _ in range(count):
            waiting.create_task(waits(target, content))


async def waits(target: Target, content: bytes) -> None:
    while True:
        await target.send(content)
        await asyncio.sleep(BACK_AFTER_S)


async def sends_half_heads(target: Target) -> None:
    """Send headers that do not end."""
    await occupies(target, HALF_HEAD + b"x" * 1_000, HEADS)


async def sends_half_bodies(target: Target) -> None:
    """Send bodies that do not end, without a token."""
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    await occupies(target, head + b"%x\r\n" % LARGE + b"{" * SMALL, BODIES)


async def sends_large_half_bodies(target: Target) -> None:
    """Send large bodies that do not end, with a token."""
    token = f"Authorization: Bearer {target.clients[0]}\r\n".encode()
    head = POST + token + b"Content-Length: %d\r\n\r\n" % (LARGE + 1)
    await occupies(target, head + b"{" * LARGE, LARGE_BODIES)


Caller = Callable[[Target], Awaitable[None]]
# 1,500 half heads, 500 half bodies, and large ones.
CALLERS: tuple[Caller, ...] = (
    *(sends_half_heads,) * 5,
    *(sends_half_bodies,) * 2,
    sends_large_half_bodies,
)
