"""SIGHUP: processes are replaced one after the other, and no request is refused or lost."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from models import Payment
from tests.payments.test_tabs import charges, opened, token
from tests.support import postgres
from tests.support.demo_server import PROJECT, free_port
from tests.support.payments import PAY, Paying
from tests.support.portal import KEY
from tests.support.processes import SECRET, double, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.server]

READERS, PAYMENTS, RESTARTS = 6, 60, 2
NAME = "{ client { name balance { amount { amount } } } }"
WITHIN_S = 60


@contextmanager
def portal(
    url: str, stripe: str, folder: Path, processes: int = 2
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    command = [sys.executable, "-m", "server", "serve", "--port", str(port)]
    environment = {
        "PYTHONPATH": str(PROJECT),
        "DATABASE_URL": url,
        "TOKEN_KEY": KEY,
        "STRIPE_API_KEY": "sk_test_double",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_double",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": stripe,
        "TOKEN_SECONDS": "600",
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
        process.terminate()
        process.wait(WITHIN_S)


def workers(process: subprocess.Popen[bytes]) -> set[int]:
    """Return the ids of the serving processes."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    is_worker = {
        int(child): b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        for child in children
    }
    return {child for child, found in is_worker.items() if found}


class Visitor:
    """A client with one open connection, which sends a request again only if its connection ended
    without a response.
    """

    def __init__(self, address: str, bearer: str, seen: Counter[Any]) -> None:
        self.address, self.seen = address, seen
        self.headers = {"Authorization": f"Bearer {bearer}"}
        self.http = httpx.AsyncClient(timeout=60)

    async def ask(self, query: str, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        for _ in range(5):
            try:
                answer = await self.http.post(
                    f"{self.address}/graphql", json=body, headers=self.headers
                )
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as ended:
                self.seen[type(ended).__name__] += 1
                continue
            self.seen[answer.status_code] += 1
            assert answer.status_code == 200, answer.text
            found = answer.json()
            assert "errors" not in found, found
            return found["data"]
        raise AssertionError("five connections in a row ended")


@asynccontextmanager
async def reading(visitors: list[Visitor]) -> AsyncIterator[None]:
    """Send reads by all visitors, one after the other each, while the context lasts."""
    is_over = asyncio.Event()

    async def read(visitor: Visitor) -> None:
        while not is_over.is_set():
            data = await visitor.ask(NAME)
            assert data["client"]["name"] == "Ana Prieto"
            # So idle connections are among those that a process closes.
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for visitor in visitors:
            group.create_task(read(visitor))
        try:
            yield
        finally:
            is_over.set()


async def restarted(process: subprocess.Popen[bytes]) -> None:
    """Send SIGHUP, and wait until every process is another one."""
    before = workers(process)
    process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(WITHIN_S):
        while len(now := workers(process)) != len(before) or now & before:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_no_request_is_lost_and_nothing_is_charged_twice(
    postgres_url: str, tmp_path: Path
) -> None:
    seen = Counter[Any]()
    async with postgres.database(postgres_url) as url:
        practice = await opened(url)
        with (
            double(tmp_path) as stripe,
            portal(url, stripe, tmp_path) as (process, address),
        ):
            assert len(workers(process)) == 2
            visitors = [Visitor(address, practice.bearer, seen) for _ in range(READERS)]
            payer = Visitor(address, practice.bearer, seen)
            paid = asyncio.create_task(pay_all(practice, payer, stripe))
            async with reading(visitors):
                for _ in range(RESTARTS):
                    await restarted(process)
                await paid
            print(dict(seen))
            for visitor in (payer, *visitors):
                await visitor.http.aclose()
            async with httpx.AsyncClient() as http:
                assert len(await charges(http, stripe)) == PAYMENTS
        async with practice.engine.connect() as conn:
            states = list(await conn.scalars(select(Payment.state)))
        assert states == ["SUCCEEDED"] * PAYMENTS
        await practice.engine.dispose()
    printed = (tmp_path / "printed.txt").read_text()
    assert "Traceback" not in printed
    # At the end all processes are terminated once more.
    assert printed.count("Terminated child process") == (RESTARTS + 1) * 2


async def pay_all(practice: Paying, payer: Visitor, stripe: str) -> None:
    """Pay one invoice after the other, each with a key of its own."""
    for _ in range(PAYMENTS):
        await practice.invoice(1_000)
        async with httpx.AsyncClient() as http:
            new = await token(http, stripe)
        given = practice.input(1_000, {"newCard": {"confirmationToken": new}})
        given["idempotencyKey"] = str(uuid.uuid4())
        data = await payer.ask(PAY, input=given)
        assert data["pay"]["__typename"] == "PaySucceeded", data


async def test_release_that_needs_a_migration_replaces_no_process(
    postgres_url: str, tmp_path: Path
) -> None:
    """The first new process ends at its start, and the old ones go on."""
    async with postgres.database(postgres_url) as url:
        practice = await opened(url)
        with (
            double(tmp_path) as stripe,
            portal(url, stripe, tmp_path) as (process, address),
        ):
            printed = tmp_path / "printed.txt"
            async with asyncio.timeout(WITHIN_S):  # Both have begun to serve.
                while printed.read_text().count("startup complete") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            before = workers(process)
            revision = "UPDATE alembic_version SET version_num = 'later'"
            await postgres.execute(postgres.as_owner(url), revision)
            process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(WITHIN_S):
                while "aborting the restart" not in printed.read_text():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert "start the newer release" in printed.read_text()
            assert workers(process) == before
            visitor = Visitor(address, practice.bearer, Counter())
            assert (await visitor.ask(NAME))["client"]["name"] == "Ana Prieto"
            await visitor.http.aclose()
        await practice.engine.dispose()


async def test_single_process_stays(postgres_url: str, tmp_path: Path) -> None:
    async with postgres.database(postgres_url) as url:
        practice = await opened(url)
        with (
            double(tmp_path) as stripe,
            portal(url, stripe, tmp_path, processes=1) as (process, address),
        ):
            process.send_signal(signal.SIGHUP)
            visitor = Visitor(address, practice.bearer, Counter())
            for _ in range(3):
                assert await visitor.ask(NAME)
            await visitor.http.aclose()
            assert process.poll() is None
            assert "serve with --processes 2" in (tmp_path / "printed.txt").read_text()
        await practice.engine.dispose()
