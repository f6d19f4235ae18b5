"""The waits of readers during a migration of a large table: `python -m bench.migrating`.

A practice gets a million clients. Then a newer release's revisions add a column to them, fill it,
index it, and let it be empty nowhere, as docs/upgrades.md says. Meanwhile readers read clients, and
a long transaction ends now and then. `--heedless` does the same in one transaction, for comparison.
"""

import asyncio
import datetime as dt
import gc
import logging
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from sqlalchemy import text

from bench.commands import database_server, say
from execution.garbage_collection import collect_rarely
from identity.tokens import Subject
from models import migrations
from models.database import open_engine
from tests.support import postgres
from tests.support.portal import Portal, served
from tests.support.trial_revisions import newer_release

READERS, LIMIT_S, LONG_S = 4, 1.0, 3.0
QUERY = "query Client($id: ID!) { client(id: $id) { name balance { amount { amount } } } }"
CLIENTS = """INSERT INTO client (practice_id, id, name, folded_name, created_at, version)
  SELECT practice_id, gen_random_uuid(), 'Client ' || number, 'client ' || number, created_at,
    version
  FROM client, generate_series(1, :count) number WHERE id = :id"""
SAMPLE = "SELECT id FROM client TABLESAMPLE SYSTEM (1) LIMIT 1000"


def main(
    rows: Annotated[int, typer.Option(help="The clients of the practice.")] = 1_000_000,
    heedless: Annotated[
        bool, typer.Option("--heedless", help="Migrate in one transaction, as must not be.")
    ] = False,
) -> None:
    """Measure the longest wait of a read during a migration. Exit with 1 if it is a second."""
    with tempfile.TemporaryDirectory() as folder, database_server() as server:
        longest_s = asyncio.run(measure(server, Path(folder), rows, heedless=heedless))
    raise typer.Exit(int(longest_s >= LIMIT_S))


async def measure(server: str, folder: Path, rows: int, *, heedless: bool) -> float:
    progress = logging.getLogger("portal.migrations")
    progress.setLevel(logging.INFO)
    logging.basicConfig(format="%(asctime)s %(message)s")
    async with (
        postgres.database(server) as url,
        served(url, token_seconds=100_000) as portal,
        open_engine(postgres.as_owner(url)) as owning,
    ):
        portal.clock.time = dt.datetime.now(dt.UTC)
        async with owning.begin() as conn:
            await conn.execute(text(CLIENTS), {"count": rows, "id": portal.client_id})
        async with owning.connect() as conn:
            vacuum = await conn.execution_options(isolation_level="AUTOCOMMIT")
            await vacuum.execute(text("VACUUM ANALYZE client"))
            ids = [str(id_) for id_ in await conn.scalars(text(SAMPLE))]
        say(f"{rows:,} clients")
        # As a server's process does: a collection of all objects would hold every read.
        gc.collect()
        gc.freeze()
        collect_rarely()
        quiet = Waits()
        async with reading(portal, ids, quiet):
            await asyncio.sleep(5)
        say(f"before: {quiet}")
        waits = Waits()
        async with reading(portal, ids, waits), holding(portal):
            began = time.monotonic()
            with newer_release(folder, heedless=heedless):
                await migrations.upgrade(owning)
            seconds = time.monotonic() - began
        say(f"migration: {seconds:.1f} s, to {await migrations.current_revision(owning)}")
        say(f"during it: {waits}")
        return waits.longest_s


class Waits:
    """The durations of reads, and the number of those that failed."""

    def __init__(self) -> None:
        self.durations: list[float] = []
        self.failures = 0

    @property
    def longest_s(self) -> float:
        return max(self.durations)

    def __str__(self) -> str:
        ordered = sorted(self.durations)
        listed = ", ".join(f"{one * 1000:.0f}" for one in ordered[-1:-6:-1])
        p99 = ordered[int(len(ordered) * 0.99)]
        return (
            f"{len(ordered):,} reads, p50 {ordered[len(ordered) // 2] * 1000:.0f} ms, p99"
            f" {p99 * 1000:.0f} ms, longest {listed} ms, failed {self.failures}"
        )


@asynccontextmanager
async def reading(portal: Portal, ids: list[str], waits: Waits) -> AsyncIterator[None]:
    """Read clients by id, by several readers, while the context lasts."""

    tokens = [await portal.token(Subject(portal.practice_id)) for _ in range(READERS)]
    is_over = asyncio.Event()

    async def read(token: str) -> None:
        while not is_over.is_set():
            began = time.monotonic()
            answer = await ask(portal, token, f"cli_{random.choice(ids)}")  # noqa: S311
            seconds = time.monotonic() - began
            waits.durations.append(seconds)
            if seconds >= LIMIT_S / 2:
                say(f"{dt.datetime.now().time()} a read took {seconds * 1000:.0f} ms")  # noqa: DTZ005
            waits.failures += "errors" in answer
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for token in tokens:
            group.create_task(read(token))
        try:
            yield
        finally:
            is_over.set()


async def ask(portal: Portal, token: str, id_: str) -> Any:
    answer: httpx.Response = await portal.ask(QUERY, token, id=id_)
    return answer.json()


@asynccontextmanager
async def holding(portal: Portal) -> AsyncIterator[None]:
    """Have a transaction that has read clients stay open for some seconds, again and again."""

    async def hold() -> None:
        while True:
            async with portal.engine.begin() as conn:
                await conn.execute(text("SELECT id FROM client LIMIT 1"))
                await asyncio.sleep(LONG_S)
            await asyncio.sleep(LONG_S)

    task = asyncio.create_task(hold())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


if __name__ == "__main__":
    typer.run(main)
