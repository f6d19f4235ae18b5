"""SIGTERM: a process finishes what it answers, writes what waits, and ends in time."""

import asyncio
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import select

from models import AccessEntry, SignInRequest
from models.database import opened
from tests import postgres
from tests.demo import PROJECT, free_port
from tests.fault_injection.cluster import Cluster
from tests.portal import KEY, Portal
from tests.processes import wait_for
from tests.schema import prepare
from tests.signing_in import REQUEST

pytestmark = [pytest.mark.faults, pytest.mark.server]

GRACE_S = 2
# So much later than the grace a process has ended, on a slow machine.
SPARE_S = 6.0
NAME = "query Last { client { name } }"


@asynccontextmanager
async def filled(cluster: Cluster) -> AsyncIterator[tuple[str, Portal]]:
    """Give a database with a practice, and its rows, at today's time."""
    async with postgres.database(cluster.url) as url:
        await prepare(url)
        async with opened(url) as engine:
            rows = Portal(url, engine)
            rows.clock.time = dt.datetime.now(dt.UTC)
            await rows.fill()
            yield url, rows


@contextmanager
def portal(
    url: str, folder: Path, processes: int = 1
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve a portal in a process of its own; give it and its address."""
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
async def test_half_a_body_holds_no_process_up(
    cluster: Cluster, tmp_path: Path, processes: int
) -> None:
    async with filled(cluster) as (url, rows):
        token = await rows.token()
        with portal(url, tmp_path, processes) as (process, address), half_a_request(address):
            assert ask(address, token).status_code == 200
            process.send_signal(signal.SIGTERM)
            process.wait(GRACE_S + SPARE_S)
        # uvicorn ends by the signal again, when all is done.
        assert process.returncode in (0, -signal.SIGTERM)
        # What was answered last is in the record of access.
        async with rows.engine.connect() as conn:
            assert list(await conn.scalars(select(AccessEntry.operation))) == ["Last"]
        assert "Traceback" not in (tmp_path / "printed.txt").read_text()


@pytest.mark.parametrize(("held_s", "status"), [(1.0, 200), (60.0, 503)])
async def test_a_request_that_is_answered_in_time_is_finished(
    cluster: Cluster, tmp_path: Path, held_s: float, status: int
) -> None:
    """A change waits for a lock, which is let go a second after the process was told to end."""
    async with filled(cluster) as (url, rows), rows.engine.connect() as conn:
        await conn.exec_driver_sql(f"LOCK TABLE {SignInRequest.__tablename__}")
        with portal(url, tmp_path) as (process, address):
            body = {"query": REQUEST, "variables": {"email": "ana@example.com"}}
            asking = asyncio.create_task(asyncio.to_thread(post, address, body))
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            if held_s < GRACE_S:
                await asyncio.sleep(held_s)
                await conn.rollback()
            answer = await asking
            await asyncio.to_thread(process.wait, GRACE_S + SPARE_S)
        assert answer.status_code == status, answer.text
        assert "Traceback" not in (tmp_path / "printed.txt").read_text()


def ask(address: str, token: str) -> httpx.Response:
    return post(address, {"query": NAME}, Authorization=f"Bearer {token}")


def post(address: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{address}/graphql", json=body, headers=headers, timeout=30)
