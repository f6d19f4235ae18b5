"""Readers of billing pages over HTTP, at a steady rate, whatever the server does meanwhile."""

import asyncio
import datetime as dt
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.figures import percentile
from bench.operations import Asked
from bench.practice import askers
from models.database import open_engine
from tests.support.demo_server import started
from tests.support.portal import KEY
from tests.support.processes import double, portals

# The pages a second, and the clients of each practice that read them.
PAGES_A_SECOND, CLIENTS = 20, 20


@dataclass
class PageTimes:
    """The durations of requests, and the number of those without a complete answer."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0

    def percentile_ms(self, share: int) -> float:
        return 1_000 * percentile(self.seconds, share)


@dataclass
class PageReaders:
    """The clients of some practices, by turns. A request counts for the period it began in."""

    http: httpx.AsyncClient
    pages: Sequence[Sequence[Asked]]
    period: str = "quiet"
    took: dict[tuple[str, int], PageTimes] = field(default_factory=lambda: defaultdict(PageTimes))

    async def read_all(self) -> None:
        """Begin requests at fixed times, ended or not, until this is cancelled."""
        turns = itertools.cycle(range(len(self.pages)))
        cycles = [itertools.cycle(pages) for pages in self.pages]
        at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while True:
                number = next(turns)
                group.create_task(self.read(next(cycles[number]), number))
                at += 1 / PAGES_A_SECOND
                await asyncio.sleep(max(0, at - time.monotonic()))

    async def read(self, page: Asked, number: int) -> None:
        times, began = self.took[self.period, number], time.perf_counter()
        headers = {"Authorization": f"Bearer {page.token}"}
        answer = await self.http.post("/graphql", json=page.body, headers=headers)
        times.seconds.append(time.perf_counter() - began)
        times.failures += "errors" in answer.json()


@asynccontextmanager
async def served_pages(
    url: str, folder: Path, practices: Sequence[str]
) -> AsyncIterator[PageReaders]:
    """Serve a database, and have clients of practices read their pages while the context lasts."""
    now = dt.datetime.now(dt.UTC)
    async with open_engine(url) as engine:
        pages = [
            (await askers(engine, KEY, now, CLIENTS, practice_id)).asked()["billing"]
            for practice_id in practices
        ]
    with double(folder) as stripe, portals(started, url, stripe, folder, 1) as (address,):
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            warming = PageReaders(http, pages)
            for number, page in ((n, page) for n, some in enumerate(pages) for page in some):
                await warming.read(page, number)
            readers = PageReaders(http, pages)
            reading = asyncio.create_task(readers.read_all())
            try:
                yield readers
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
