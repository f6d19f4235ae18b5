"""The time and the memory of an import: `python -m bench.importing`.

An invented practice's records are written as files and imported on each kind of database, in a
process of its own, as `portal import` does it. Then the same files are imported again.

With `--reading`, clients of that practice and of another one read their billing pages over HTTP,
before the imports, during them and afterwards.
"""

import asyncio
import datetime as dt
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from bench import machine
from bench.commands import database_server, say
from bench.page_readers import PageReaders, served_pages
from billing.entry import commands
from billing.entry.commands import EntryContext
from demo.exports import InventedExport
from models.database import open_engine
from tests.support import postgres
from tests.support.empty_databases import prepare
from tests.support.entries import PRACTICE
from tests.support.portal import KEY

MAPPING = "docs/import/mapping.toml"
# The clients that the practices have before the import, with their first number.
EARLIER, AFTER = 40, 50_001
# The seconds of reading before the imports, and again after them.
QUIET_S = 20.0


def main(
    clients: Annotated[int, typer.Option(help="The clients, of some 63 records each.")] = 8_000,
    on: Annotated[str, typer.Option(help="postgresql, sqlite, or owner.")] = "postgresql",
    reading: Annotated[
        bool, typer.Option("--reading", help="Read billing pages before, meanwhile and afterwards.")
    ] = False,
) -> None:
    """Import files into a practice, and then the same files again."""
    with tempfile.TemporaryDirectory() as folder, database_server() as server:
        path, today = Path(folder), dt.date.today()  # noqa: DTZ011
        counted = InventedExport(today, clients).write(path / "export")
        InventedExport(today, EARLIER, first=AFTER).write(path / "earlier")
        say(f"{counted.total():,} records of {clients:,} clients")
        asyncio.run(measure(server, path, on, reading=reading))


async def measure(server: str, path: Path, on: str, *, reading: bool) -> None:
    async with new_database(server, path, on) as url:
        await prepare(url)
        imports = Imports(postgres.as_owner(url) if on == "owner" else url, path)
        practices = [await imports.practice() for _ in range(2 if reading else 1)]
        if not reading:
            await imports.import_twice(practices[0])
            return
        for practice_id in practices:
            await imports.run(practice_id, "earlier")
        async with served_pages(url, path, practices) as readers:
            await asyncio.sleep(QUIET_S)
            readers.period = "import"
            await imports.import_twice(practices[0])
            readers.period = "quiet"
            await asyncio.sleep(QUIET_S)
        print_pages(readers)


@asynccontextmanager
async def new_database(server: str, path: Path, on: str) -> AsyncIterator[str]:
    if on == "sqlite":
        yield f"sqlite:///{path}/portal.db"
        return
    async with postgres.database(server) as url:
        yield url


def print_pages(readers: PageReaders) -> None:
    """Print the times of billing pages: of the practice with the import, and of another one."""
    print(f"{'billing page':34}{'requests':>9}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}")
    for number, name in enumerate(("the practice", "another practice")):
        p99 = {}
        for period in ("quiet", "import"):
            took = readers.took[period, number]
            p99[period] = took.percentile_ms(99)
            figures = f"{took.percentile_ms(50):9.1f}{p99[period]:9.1f}{took.failures:8}"
            print(f"{f'{name}, {period}':34}{len(took.seconds):9}{figures}")
        print(f"{name}: p99 during imports is {p99['import'] / p99['quiet']:.2f} of the quiet one")


@dataclass(frozen=True)
class Imports:
    """Imports of exports in a folder into practices of a database."""

    url: str
    path: Path

    async def practice(self) -> str:
        """Enter a practice, and return its id."""
        async with open_engine(self.url) as engine:
            context = EntryContext(engine, lambda: dt.datetime.now(dt.UTC))
            return await commands.enter_practice(context, PRACTICE)

    async def import_twice(self, practice_id: str) -> None:
        database = await self.database_process()
        for name in ("the first time", "again"):
            began, cpu = time.monotonic(), machine.cpu_of(database)
            own = own_cpu()
            told = await self.run(practice_id, "export")
            seconds = time.monotonic() - began
            cpu, own = machine.cpu_of(database) - cpu, own_cpu() - own
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            of_server = f", {cpu:.1f} s of PostgreSQL" if database else ""
            say(
                f"{name}: {seconds:.1f} s, {memory:.0f} MB at most; CPU: {own:.1f} s of the"
                f" command{of_server}; load {os.getloadavg()[0]:.1f}"
            )
            print(told)

    async def run(self, practice_id: str, folder: str) -> str:
        """Import a folder by the command, and return its output."""
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", "import", str(self.path / folder),
            "--mapping", MAPPING, "--practice", f"pra_{practice_id}", "--source", folder,
            env=os.environ | {"DATABASE_URL": self.url, "TOKEN_KEY": KEY},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told, _ = await running.communicate()
        assert running.returncode == 0, told[:1_000].decode()
        return told.decode()

    async def database_process(self) -> int | None:
        """Return the process of PostgreSQL, if it is on this machine."""
        if self.url.startswith("sqlite"):
            return None
        connection = await asyncpg.connect(self.url)
        try:
            return machine.postmaster(await connection.fetchval("SELECT pg_backend_pid()"))
        finally:
            await connection.close()


def own_cpu() -> float:
    """Return the CPU seconds of the commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    typer.run(main)
