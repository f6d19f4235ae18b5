"""The time and the memory of an import: `python -m bench.importing`.

An invented practice's records are written as files and imported on each kind of database, in a
process of its own, as `portal import` does it. Then the same files are imported again.
"""

import asyncio
import datetime as dt
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import database_server, say
from billing.entry import commands
from billing.entry.commands import EntryContext
from demo.exports import InventedExport
from models.database import open_engine
from tests.support import postgres
from tests.support.empty_databases import prepare
from tests.support.entries import PRACTICE

KEY = "bench-bench-bench-bench-bench-bench"


def main(
    clients: Annotated[int, typer.Option(help="The clients, of some 63 records each.")] = 8_000,
    on: Annotated[str, typer.Option(help="postgresql, sqlite, or owner.")] = "postgresql",
) -> None:
    """Import files into an empty practice, and then the same files again."""
    with tempfile.TemporaryDirectory() as folder, database_server() as server:
        path = Path(folder)
        counted = InventedExport(dt.date.today(), clients).write(path / "export")  # noqa: DTZ011
        say(f"{counted.total():,} records of {clients:,} clients")
        asyncio.run(measure(server, path, on))


async def measure(server: str, path: Path, on: str) -> None:
    if on == "sqlite":
        await import_twice(f"sqlite:///{path}/portal.db", path)
        return
    async with postgres.database(server) as url:
        await import_twice(url, path, as_owner=on == "owner")


async def import_twice(url: str, path: Path, *, as_owner: bool = False) -> None:
    await prepare(url)
    async with open_engine(url) as engine:
        context = EntryContext(engine, lambda: dt.datetime.now(dt.UTC))
        practice = await commands.enter_practice(context, PRACTICE)
    if as_owner:
        url = postgres.as_owner(url)
    for run in ("the first time", "again"):
        environment = os.environ | {"DATABASE_URL": url, "TOKEN_KEY": KEY}
        command = [sys.executable, "-m", "server", "import", str(path / "export")]
        command += ["--mapping", "docs/import/mapping.toml"]
        started = time.monotonic()
        running = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
            [*command, "--practice", f"pra_{practice}"], env=environment, stdout=subprocess.PIPE
        )
        told, _ = running.communicate()
        seconds = time.monotonic() - started
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        say(f"{run}: {seconds:.1f} s, {memory:.0f} MB at most, exit {running.returncode}")
        print(told.decode())


if __name__ == "__main__":
    typer.run(main)
