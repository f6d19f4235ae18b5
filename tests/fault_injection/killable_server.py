"""A portal in a process of its own that a test kills, and a practice with long-lived tokens."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from models.database import open_engine
from tests.support.demo_server import PROJECT
from tests.support.empty_databases import prepare
from tests.support.portal import KEY, Portal
from tests.support.processes import wait_for

PORTAL = ("-m", "server")


@contextmanager
def killable_server(
    url: str, folder: Path, port: int, program: Sequence[str] = PORTAL, **environment: str
) -> Iterator["subprocess.Popen[str]"]:
    """Serve a database beside the sandbox, and kill the process at the end. `program` is the
    arguments of Python before those of the command.
    """
    settings = {
        "DATABASE_URL": url,
        "TOKEN_KEY": KEY,
        "SANDBOX": "true",
        "SANDBOX_FILE": str(folder / "sandbox.sqlite"),
    }
    command = [sys.executable, *program, "serve", "--port", str(port), "--no-access-log"]
    with (
        (folder / "server.txt").open("w") as told,
        subprocess.Popen(
            command,
            cwd=PROJECT,
            env=os.environ | settings | environment,
            stdout=told,
            stderr=told,
            text=True,
        ) as process,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}")
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def long_lived_portal(url: str) -> AsyncIterator[Portal]:
    """Yield a practice with tokens that are valid for long."""
    await prepare(url)
    async with open_engine(url) as engine:
        portal = Portal(url, engine)
        portal.clock.time = portal.clock.time.replace(year=2099)
        await portal.fill()
        yield portal
