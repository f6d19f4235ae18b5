"""SIGTERM: a process finishes its responses, writes its queues, and ends in time."""

import asyncio
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import AccessEntry, SignInRequest
from models.database import open_engine
from tests.fault_injection.cluster import Cluster
from tests.support import postgres
from tests.support.demo_server import PROJECT, free_port
from tests.support.empty_databases import prepare
from tests.support.portal import KEY, Portal
from tests.support.processes import wait_for
from tests.support.sign_in import REQUEST

pytestmark = [pytest.mark.faults, pytest.mark.server]

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
GRACE_S = 2
# Seconds beyond the grace within which a process ends on a slow machine.
SPARE_S = 6.0
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
NAME = "query Last { client { name } }"


@asynccontextmanager
async def filled(
    database: AbstractAsyncContextManager[str],
) -> AsyncIterator[tuple[str, Portal]]:
    """Yield a database with a practice, and its rows, at today's time."""
    async with database as url:
        await prepare(url)
        async with open_engine(url) as engine:
            rows = Portal(url, engine)
            rows.clock.time = dt.datetime.now(dt.UTC)
            await rows.fill()
            yield url, rows


@contextmanager
def portal(
    url: str, folder: Path, processes: int = 1
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve a portal in a process of its own; yield the process and its address."""
    port = free_port()
    command = [sys.executable, "-m", "server", "serve", "--port", str(port)]
    environment = {
        "PYTHONPATH": str(PROJECT),
        "DATABASE_URL": url,
        "TOKEN_KEY": KEY,
        "SANDBOX": "true",
        "SHUTDOWN_TIMEOUT_S": str(GRACE_S),
        "LOCK_TIMEOUT_S": "30",
    }
    with (folder / "printed.txt").open("w") as out:
        process = subprocess.Popen(
            [*command, "--processes", str(processes)],
            cwd=folder,
            env=os.environ | environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def half_a_request(address: str) -> socket.socket:
    """Send the head of a request and the first byte of its body."""
    parts = urlsplit(address)
    client = socket.create_connection((parts.hostname, parts.port))
    head = "POST /graphql HTTP/1.1\r\nHost: portal\r\nContent-Type: application/json\r\n"
    client.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    return client


@pytest.mark.parametrize("processes", [1, 2])
async def test_half_a_body_does_not_delay_the_end(
    new_database: NewDatabase, tmp_path: Path, processes: int
) -> None:
    async with filled(new_database()) as (url, rows):
        if processes > 1 and url.startswith("sqlite"):
            pytest.skip("SQLite is served by one process")
        token = await rows.token()
        with portal(url, tmp_path, processes) as (process, address), half_a_request(address):
            assert ask(address, token).status_code == 200
            process.send_signal(signal.SIGTERM)
            process.wait(GRACE_S + SPARE_S)
        # When all is done, uvicorn ends by the signal itself.
        assert process.returncode in (0, -signal.SIGTERM)
        # The last response is in the audit log.
        assert await recorded(rows) == ["Last"]
        assert "Traceback" not in (tmp_path / "printed.txt").read_text()


async def test_body_on_its_way_at_the_end_is_answered(postgres_url: str, tmp_path: Path) -> None:
    """Clients send the head and the body in two packets; SIGTERM may come between them."""
    async with filled(postgres.database(postgres_url)) as (url, rows):
        token, body = await rows.token(), b'{"query": "{ client { name } }"}'
        with portal(url, tmp_path) as (process, address):
            parts = urlsplit(address)
            with socket.create_connection((parts.hostname, parts.port)) as client:
                head = (
                    "POST /graphql HTTP/1.1\r\nHost: portal\r\nContent-Type: application/json\r\n"
                )
                head += f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
                client.sendall(head.encode())
                await asyncio.sleep(0.5)
                process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.3)
                client.sendall(body)
                client.settimeout(GRACE_S + SPARE_S)
                assert client.recv(1_000).startswith(b"HTTP/1.1 200 OK\r\n")
            process.wait(GRACE_S + SPARE_S)


async def test_workers_end_when_their_parent_was_killed(postgres_url: str, tmp_path: Path) -> None:
    async with filled(postgres.database(postgres_url)) as (url, rows):
        token = await rows.token()
        with portal(url, tmp_path, processes=2) as (process, address), half_a_request(address):
            workers = children(process.pid)
            assert len(workers) >= 2
            try:
                assert ask(address, token).status_code == 200
                process.kill()
                process.wait()
                await asyncio.to_thread(await_end, workers)
            finally:
                for pid in filter(is_running, workers):
                    os.kill(pid, signal.SIGKILL)
        assert await recorded(rows) == ["Last"]
        assert "Traceback" not in (tmp_path / "printed.txt").read_text()


async def recorded(rows: Portal) -> list[str | None]:
    """Return the names of the operations in the audit log."""
    async with rows.engine.connect() as conn:
        return list(await conn.scalars(select(AccessEntry.operation)))


def children(pid: int) -> list[int]:
    """Return the child processes of a process: workers, and Python's resource tracker."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Return whether a process exists, and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def await_end(pids: list[int]) -> None:
    """Wait until none of the processes runs."""
    until = time.monotonic() + GRACE_S + SPARE_S
    while any(map(is_running, pids)):
        assert time.monotonic() < until, "still running"
        time.sleep(0.05)


@pytest.mark.parametrize(("held_s", "status"), [(1.0, 200), (60.0, 503)])
async def test_change_finishes_or_gets_503_within_the_grace(
    cluster: Cluster, tmp_path: Path, held_s: float, status: int
) -> None:
    """The change waits for a lock, which is released some time after SIGTERM."""
    async with filled(postgres.database(cluster.url)) as (url, rows), rows.engine.connect() as conn:
        await conn.exec_driver_sql(f"LOCK TABLE {SignInRequest.__tablename__}")
        with portal(url, tmp_path) as (process, address):
            body = {"query": REQUEST, "variables": {"email": "ana@example.com"}}
            asking = asyncio.create_task(asyncio.to_thread(post, address, body))
            await somebody_waits(conn)
            process.send_signal(signal.SIGTERM)
            if held_s < GRACE_S:
                await asyncio.sleep(held_s)
                await conn.rollback()
            answer = await asking
            await asyncio.to_thread(process.wait, GRACE_S + SPARE_S)
        assert answer.status_code == status, answer.text
        assert "Traceback" not in (tmp_path / "printed.txt").read_text()


async def somebody_waits(conn: AsyncConnection) -> None:
    """Wait until another session waits for a lock."""
    async with asyncio.timeout(30):
        while not (await conn.exec_driver_sql(WAITING)).scalar():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def ask(address: str, token: str) -> httpx.Response:
    return post(address, {"query": NAME}, Authorization=f"Bearer {token}")


def post(address: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{address}/graphql", json=body, headers=headers, timeout=30)
