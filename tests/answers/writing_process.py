"""Process that writes beside the servers: by plain SQL, and by the commands of an operator.

It reads lines of JSON: the time of the servers' clock, and a command's arguments or none for a
random change. After the commit it answers with a line of JSON.
"""

import asyncio
import datetime as dt
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from models.database import open_engine
from server import clock
from tests.answers.raw_writes import RawWriter
from tests.support import postgres
from tests.support.demo_server import PROJECT
from tests.support.portal import KEY


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command, and its output with its errors."""

    code: int
    output: str


class WritingProcess:
    """The process, as the test's own process sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def write(self, now: dt.datetime) -> str:
        """Make a random change, and return it in words."""
        return str(await self.ask(now, None))

    async def run(self, now: dt.datetime, *arguments: str) -> CommandResult:
        """Run a command of `portal`."""
        return CommandResult(*await self.ask(now, arguments))

    async def ask(self, now: dt.datetime, arguments: Sequence[str] | None) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([now.isoformat(), arguments]).encode() + b"\n")
        await self.process.stdin.drain()
        answer = await self.process.stdout.readline()
        assert answer, "the writing process has ended"
        return json.loads(answer)


@asynccontextmanager
async def writing_process(
    url: str, seed: int, sandbox_file: str = ":memory:"
) -> AsyncIterator[WritingProcess]:
    """Yield a process that writes to the database of this URL, as a server finds it."""
    program = (sys.executable, "-m", "tests.answers.writing_process", str(seed))
    pipe = asyncio.subprocess.PIPE
    environment = {
        "DATABASE_URL": url,
        "DATABASE_OWNER_URL": postgres.as_owner(url),
        "TOKEN_KEY": KEY,
        "SANDBOX": "true",
        "SANDBOX_FILE": sandbox_file,
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *program, stdin=pipe, stdout=pipe, cwd=PROJECT, env=kept | environment, limit=2**20
    )
    assert process.stdin is not None
    try:
        yield WritingProcess(process)
    finally:
        process.stdin.close()
        await process.wait()


async def serve(seed: int) -> None:
    now = dt.datetime.now(dt.UTC)
    # Commands import it when they are run.
    clock.utc_now = lambda: now
    async with open_engine(os.environ["DATABASE_OWNER_URL"]) as engine:
        writer = RawWriter(engine, random.Random(seed), lambda: now)
        while line := await asyncio.to_thread(sys.stdin.readline):
            time, arguments = json.loads(line)
            now = dt.datetime.fromisoformat(time)
            result = await writer.write() if arguments is None else await run(arguments)
            print(json.dumps(result), flush=True)


async def run(arguments: Sequence[str]) -> tuple[int, str]:
    from server.cli import main

    whole = ["--as", "Olga", *arguments]
    result = await asyncio.to_thread(CliRunner().invoke, main.app, whole)
    return result.exit_code, result.output or repr(result.exception)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
