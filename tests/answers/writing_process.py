"""Process that writes by plain SQL, one change for each line that it reads.

A line is the time of the servers' clock. The process answers with the change in words, after its
commit.
"""

import asyncio
import datetime as dt
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models.database import open_engine
from tests.answers.raw_writes import RawWriter
from tests.support.demo_server import PROJECT


class WritingProcess:
    """The process, as the test's own process sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def write(self, now: dt.datetime) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{now.isoformat()}\n".encode())
        await self.process.stdin.drain()
        words = (await self.process.stdout.readline()).decode().strip()
        assert words, "the writing process has ended"
        return words


@asynccontextmanager
async def writing_process(url: str, seed: int) -> AsyncIterator[WritingProcess]:
    program = (sys.executable, "-m", "tests.answers.writing_process", url, str(seed))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe, cwd=PROJECT)
    assert process.stdin is not None
    try:
        yield WritingProcess(process)
    finally:
        process.stdin.close()
        await process.wait()


async def serve(url: str, seed: int) -> None:
    now = dt.datetime.now(dt.UTC)
    async with open_engine(url) as engine:
        writer = RawWriter(engine, random.Random(seed), lambda: now)
        while line := await asyncio.to_thread(sys.stdin.readline):
            now = dt.datetime.fromisoformat(line.strip())
            words = await writer.write()
            print(words.encode("unicode_escape").decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
