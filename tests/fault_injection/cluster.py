"""A PostgreSQL server that is stopped, started, demoted, followed by a standby, and recovered."""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import asyncpg

from tests.support import postgres
from tests.support.postgres import DURABLE, Server

STANDBY_PORT, RESTORED_PORT = 5433, 5434
IS_STREAMING = "SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'streaming'"
WAITS_S = 60
IS_RECOVERED = "SELECT NOT pg_is_in_recovery()"


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
        in_thread(becomes_true(self.url, IS_STREAMING))
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

    # -- a recovery to a point in time -------------------------------------------------------------

    def archive(self) -> None:
        """Restart the primary with an archive of its write-ahead log, and make a base backup."""
        self.server.run('mkdir "$2/archive"')
        self.configure(
            "data", archive_mode="on", archive_command=f"cp %p {self.server.folder}/archive/%f"
        )
        self.restart()
        self.server.run('"$1/pg_basebackup" -h "$2" -U postgres -D "$2/base" -X none')

    def recover_to(self, time: str) -> str:
        """Stop the primary and recover its base backup to a time; return that server's URL."""
        self.stop()
        self.server.run('touch "$2/base/recovery.signal"')
        self.configure(
            "base",
            restore_command=f"cp {self.server.folder}/archive/%f %p",
            recovery_target_time=time,
            recovery_target_action="promote",
        )
        self.server.control("start " + options(RESTORED_PORT), "base")
        url = at_port(self.url, RESTORED_PORT)
        in_thread(becomes_true(url, IS_RECOVERED))
        return url

    def configure(self, data: str, **settings: str) -> None:
        """Write settings of a data directory, which the server reads at its start."""
        for name, value in settings.items():
            self.server.run(f"""echo "{name} = '{value}'" >>"$2/{data}/postgresql.auto.conf" """)


async def becomes_true(url: str, condition: str) -> None:
    """Wait until a condition is true of a server."""
    conn = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(WAITS_S):
            while not await conn.fetchval(condition):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await conn.close()


def in_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a thread, since a test's event loop may be running."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


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
