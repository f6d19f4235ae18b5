"""A faulty proxy between the portal and the double of Stripe: `python -m
tests.payments.campaign.proxy`.

Each request may go wrong in one way, drawn from the seed. Commands are JSON lines on standard
input: `{"faults": true}` turns faults on or off, and every command is answered with the counts.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.payments.campaign.wire import (
    ConnectionEnded,
    Message,
    Reader,
    Writer,
    exchange,
    read_message,
)
from tests.support.process_pool import PROJECT

HOST = "127.0.0.1"
# How often each fault happens, in a hundred requests.
FAULTS = {
    "dropped before": 2.0,
    "dropped after": 2.0,
    "cut in the middle": 1.0,
    "late before": 1.5,
    "late after": 1.5,
    "doubled": 1.5,
    "doubled at once": 1.0,
    "500 before": 0.7,
    "500 after": 0.7,
    "503 before": 0.5,
    "429 before": 1.0,
    "409 before": 0.5,
    "409 after": 0.3,
}
ERRORS = {
    409: {"type": "invalid_request_error", "code": "lock_timeout"},
    429: {"type": "invalid_request_error", "code": "rate_limit"},
    500: {"type": "api_error"},
    503: {"type": "api_error"},
}
# Seconds, more than a call of the campaign's servers waits for its response.
LATE_S = (0.2, 4.0)


class FaultyProxy:
    """The proxy: each request is forwarded to the double, or has its fault."""

    def __init__(self, port: int, seed: str) -> None:
        self.port, self.random = port, random.Random(seed)
        self.faults = True
        self.counts: Counter[str] = Counter()

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Answer the requests of one connection until it ends, is cut or is reset."""
        try:
            while True:
                request = await read_message(reader)
                writer.write(await self.answer(request))
                await writer.drain()
        except Cut as cut:
            writer.write(cut.part)
            with suppress(ConnectionError):
                await writer.drain()
            writer.close()
        except (ConnectionEnded, ConnectionError):
            writer.transport.abort()

    async def answer(self, request: Message) -> bytes:
        self.counts["requests"] += 1
        fault = self.draw()
        if fault is None:
            return (await self.forward(request)).all
        self.counts[fault] += 1
        kind, _, when = fault.partition(" ")
        if kind == "dropped":
            return await self.drop(request, forwarded=when == "after")
        if kind == "cut":
            return await self.cut(request)
        if kind == "late":
            return await self.delay(request, forwarded=when == "after")
        if kind == "doubled":
            return await self.double(request, at_once=bool(when))
        if when == "after":
            await self.forward(request)
        return error(int(kind))

    def draw(self) -> str | None:
        drawn = self.random.uniform(0, 100)
        if not self.faults:
            return None
        for fault, share in FAULTS.items():
            drawn -= share
            if drawn < 0:
                return fault
        return None

    async def forward(self, request: Message) -> Message:
        return await exchange(HOST, self.port, request)

    async def drop(self, request: Message, *, forwarded: bool) -> bytes:
        if forwarded:
            await self.forward(request)
        raise ConnectionEnded

    async def cut(self, request: Message) -> bytes:
        """Send the first half of a response, with the length of the whole."""
        whole = (await self.forward(request)).all
        self.counts["bytes cut"] += len(whole) - len(whole) // 2
        raise Cut(whole[: len(whole) // 2])

    async def delay(self, request: Message, *, forwarded: bool) -> bytes:
        seconds = self.random.uniform(*LATE_S)
        if forwarded:
            response = await self.forward(request)
            await asyncio.sleep(seconds)
        else:
            await asyncio.sleep(seconds)
            response = await self.forward(request)
        return response.all

    async def double(self, request: Message, *, at_once: bool) -> bytes:
        """Send a request twice under the same idempotency key, like a network that retries."""
        if at_once:
            first, second = await asyncio.gather(self.forward(request), self.forward(request))
        else:
            first, second = await self.forward(request), await self.forward(request)
        return self.random.choice((first, second)).all


class Cut(ConnectionEnded):
    """A connection that ends within a response. `part`: the bytes that are still sent."""

    def __init__(self, part: bytes) -> None:
        super().__init__()
        self.part = part


def error(status: int) -> bytes:
    body = json.dumps({"error": ERRORS[status] | {"message": "A fault of the wire."}}).encode()
    lines = [
        f"HTTP/1.1 {status} Fault",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


# -- as a process ----------------------------------------------------------------------------------


async def run(port: int, seed: str) -> None:
    proxy = FaultyProxy(port, seed)
    # The event loop alone keeps no strong references to tasks.
    serving: set[asyncio.Task[None]] = set()

    def connected(reader: Reader, writer: Writer) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(connected, HOST, 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        proxy.faults = json.loads(line).get("faults", proxy.faults)
        print(json.dumps(proxy.counts), flush=True)


class Proxy:
    """The proxy's process, controlled by the campaign."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.port = int(self.read()["port"])

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def set(self, *, faults: bool) -> dict[str, int]:
        """Turn faults on or off, and return the counts so far."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"faults": faults}) + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


@contextmanager
def faulty_proxy(double_port: int, seed: str) -> Iterator[Proxy]:
    command = [sys.executable, "-m", "tests.payments.campaign.proxy", str(double_port), seed]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Proxy(process)
        finally:
            process.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="proxy", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("seed")
    given = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(run(given.port, given.seed))
