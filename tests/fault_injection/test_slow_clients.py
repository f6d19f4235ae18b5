"""Thousands of clients that never end their requests, and clients that offer HTTP/2."""

import asyncio
import datetime as dt
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from bench.hostile_connections import HALF_HEAD, LARGE, POST, SMALL
from bench.machine import resident_mb
from models.database import open_engine
from tests.fault_injection.test_ending import portal
from tests.support import postgres
from tests.support.demo_server import PROJECT
from tests.support.empty_databases import prepare
from tests.support.http_server import SOON_S, until
from tests.support.portal import Portal

pytestmark = [pytest.mark.faults, pytest.mark.server]

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
HALF_HEADS, HALF_BODIES = 1_500, 500
MOST_MB = 50
DEADLINE_S = 10
ESTABLISHED = "01"
# Seconds for a request to other clients; `bench.hostile` measures the exact delay.
ANSWERS_S = 5.0
NAME = "{ client { name } }"
ANA = {"data": {"client": {"name": "Ana Prieto"}}}


@asynccontextmanager
async def practice(new_database: NewDatabase) -> AsyncIterator[tuple[str, str]]:
    """Yield a database with a client, and the client's token."""
    async with new_database() as url:
        await prepare(url)
        async with open_engine(url) as engine:
            rows = Portal(url, engine)
            rows.clock.time = dt.datetime.now(dt.UTC)
            await rows.fill()
            yield url, await rows.token()


async def half(port: int, content: bytes) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(content)
    return writer


async def test_thousands_of_half_requests_cost_little_and_block_nobody(
    new_database: NewDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADERS_TIMEOUT_S", str(DEADLINE_S))
    monkeypatch.setenv("BODY_TIMEOUT_S", str(DEADLINE_S))
    body = POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % LARGE + b"{" * SMALL
    async with practice(new_database) as (url, token):
        with portal(url, tmp_path) as (process, address):
            ask = asker(address, token)
            await ask()
            quiet, port = resident_mb(process.pid), urlsplit(address).port or 0
            writers = []
            for sent, count in ((HALF_HEAD, HALF_HEADS), (body, HALF_BODIES)):
                for _ in range(count // 100):
                    together = await asyncio.gather(*(half(port, sent) for _ in range(100)))
                    writers += together
                    await ask()
            assert resident_mb(process.pid) - quiet <= MOST_MB
            # After their deadlines the connections are closed.
            await until(lambda: connected(port) == 0)
            await ask()
            for writer in writers:
                writer.close()


def asker(address: str, token: str) -> Callable[[], "asyncio.Future[None]"]:
    async def ask() -> None:
        began = time.monotonic()
        async with httpx.AsyncClient(base_url=address, timeout=ANSWERS_S) as client:
            headers = {"Authorization": f"Bearer {token}"}
            response = await client.post("/graphql", json={"query": NAME}, headers=headers)
        assert response.json() == ANA
        assert time.monotonic() - began < ANSWERS_S

    return lambda: asyncio.ensure_future(ask())


def connected(port: int) -> int:
    """Count the connections of the server on this port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == ESTABLISHED for row in rows)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl was found")
@pytest.mark.parametrize("how", [[], ["-H", "Transfer-Encoding: chunked"]])
async def test_client_that_offers_http_2_is_answered(
    new_database: NewDatabase, tmp_path: Path, how: list[str]
) -> None:
    async with practice(new_database) as (url, token):
        with portal(url, tmp_path, processes=1) as (_, address):
            command = ["curl", "-sS", "--http2", f"{address}/graphql", *how]
            command += [
                "-H",
                "Content-Type: application/json",
                "-H",
                f"Authorization: Bearer {token}",
            ]
            command += ["-d", json.dumps({"query": NAME})]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, timeout=30, check=True
            )
    assert json.loads(done.stdout) == ANA


# Slower than uvicorn's own limit for the start of a worker.
SLOW_START = """
import sys, time
if "--multiprocessing-fork" in sys.orig_argv:
    time.sleep(6)
"""


async def test_slow_workers_are_not_killed_at_the_start(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_START)
    monkeypatch.setattr("tests.fault_injection.test_ending.PROJECT", f"{tmp_path}:{PROJECT}")
    async with practice(lambda: postgres.database(postgres_url)) as (url, token):
        with portal(url, tmp_path, processes=2) as (process, address):
            try:
                await asker(address, token)()
            finally:
                # If it were killed, it would leave its workers behind.
                process.terminate()
                await asyncio.to_thread(process.wait, SOON_S)
    assert "died" not in (tmp_path / "printed.txt").read_text()
