"""A PostgreSQL server that is stopped, started, demoted and followed by a standby."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import asyncpg

from tests.support import postgres
from tests.support.postgres import DURABLE, Server

STANDBY_PORT = 5433
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
STREAMS_WITHIN_S = 60


class Cluster:
    """A primary server, with a standby on request. Commits are durable."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url

    def restart(self) -> None:
        """Restart the primary as an operator does: sessions end, and the log is kept."""
        self.server.control("restart -m fast")

    def crash(self) -> None:
        """Stop the primary at once, as a power failure does."""
        self.server.control("stop -m immediate")

    def stop(self) -> None:
        self.server.control("stop -m fast")

    def start(self) -> None:
        """Start the primary again, with the options of its first start."""
        self.server.control("start " + options())

    def set(self, name: str, value: str) -> None:
        """Change a setting of the primary, including open sessions."""
        self.server.run(f'echo "{name} = {value}" >>"$2/data/postgresql.auto.conf"')
        self.server.control("reload")

    # -- a standby ---------------------------------------------------------------------------------

    def follow(self) -> str:
        """Start a standby that streams from the primary; return its server's URL.

        What is committed from now on is on the standby too when the primary was stopped.
        """
        self.stop()
        self.server.run('cp -R "$2/data" "$2/standby" && touch "$2/standby/standby.signal"')
        self.start()
        conninfo = f"primary_conninfo = 'host={self.server.folder} user=postgres'"
        self.server.run(f'echo "{conninfo}" >>"$2/standby/postgresql.auto.conf"')
        self.start_standby()
        # In a thread, since a test's event loop may be running.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, streams(self.url)).result()
        return at_port(self.url, STANDBY_PORT)

    def start_standby(self) -> None:
        self.server.control("start " + options(STANDBY_PORT), "standby")

    def demote(self) -> None:
        """Start the primary again as a standby, which only reads."""
        self.stop()
        self.server.run('touch "$2/data/standby.signal"')
        self.start()

    def promote(self) -> None:
        """Make the standby the primary."""
        self.server.control("promote", "standby")


async def streams(url: str) -> None:
    """Wait until the standby of a primary has caught up."""
    conn = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(STREAMS_WITHIN_S):
            while not await conn.fetchval(STREAMING):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await conn.close()


def options(port: int = 5432) -> str:
    return f"""-o "-k '$2' -p {port} $3" """


def at_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(query=f"{parts.query}&{urlencode({'port': port})}").geturl()


@contextmanager
def cluster() -> Iterator[Cluster | None]:
    """Yield a cluster of the test's own, or None without PostgreSQL's programs."""
    programs = postgres.find()
    if programs is None:
        yield None
        return
    with postgres.started(programs, DURABLE) as server:
        yield Cluster(server)
