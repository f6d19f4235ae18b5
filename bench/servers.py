"""A practice in a database, and servers over it, each in a process of its own."""

import asyncio
import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench import machine, practice
from bench.figures import Cpu
from bench.hand_written import CONNECTIONS
from bench.load import HOST
from bench.operations import Askers
from bench.targets import POSTGRESQL, SQLITE, Target
from server.settings import Settings
from tests.support import postgres
from tests.support.demo_server import free_port

PROJECT = Path(__file__).parent.parent
STARTS_WITHIN_S, ENDS_WITHIN_S = 60, 20
# No budgets: the peers have none, and few tokens send all requests.
LIFTED = {
    "DASHBOARD_CONNECTIONS": str(CONNECTIONS),
    "DASHBOARD_TIMEOUT_S": "10",
    "QUEUE_TIMEOUT_S": "60",
    "TOKEN_STATEMENTS": str(CONNECTIONS),
    "TOKEN_SECONDS": "1000000",
}
# The environment without this machine's settings of a portal, and with the targets' common number
# of connections.
ENVIRONMENT = {
    **{
        name: value
        for name, value in os.environ.items()
        if name.lower() not in Settings.model_fields
    },
    "DATABASE_CONNECTIONS": str(CONNECTIONS),
    # The requests are the same over and over: kept answers are measured by themselves.
    "ANSWER_CACHE_MB": "0",
    **LIFTED,
}
# The number of clients who send requests.
ASKING = 100


class NotStarted(Exception):
    """A server ended or did not listen in time; the message is its last output."""


@dataclass(frozen=True)
class Server:
    """A running server, and the process of its database, if known."""

    target: Target
    port: int
    process: int
    database: int | None

    @property
    def name(self) -> str:
        return self.target.name

    def cpu(self) -> Cpu:
        """Return the CPU seconds so far."""
        return Cpu(machine.cpu_of(self.process), machine.cpu_of(self.database))


@dataclass(frozen=True)
class Served:
    """The servers over a practice, with the reasons for missing ones, the senders by database, and
    the number of rows.
    """

    servers: Sequence[Server]
    absent: Mapping[str, str]
    askers: Mapping[str, Askers]
    rows: int


@asynccontextmanager
async def served(
    server_url: str, targets: Sequence[Target], clients: int, asking: int = ASKING
) -> AsyncIterator[Served]:
    """Make a practice of this many clients in each database of the targets, and serve it."""
    absent = {target.name: why for target in targets if (why := target.missing())}
    there = [target for target in targets if target.name not in absent]
    key = secrets.token_hex(32)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = await stack.enter_async_context(postgres.database(server_url))
        urls = {POSTGRESQL: url, SQLITE: f"sqlite:///{folder / 'portal.sqlite'}"}
        needed = sorted({target.database for target in there} | {POSTGRESQL})
        made = (practice.made(urls[kind], key, clients, asking) for kind in needed)
        askers = dict(zip(needed, await asyncio.gather(*made), strict=True))
        rows, database = await prepared(url, there)
        processes = {POSTGRESQL: database, SQLITE: None}
        servers = []
        for target in there:
            own = urls[target.database]
            own = own if target.is_portal else postgres.as_owner(own)
            environment = {**ENVIRONMENT, "DATABASE_URL": own, "TOKEN_KEY": key}
            try:
                one = running(target, folder, environment, processes[target.database])
                servers.append(stack.enter_context(one))
            except NotStarted as error:
                absent[target.name] = str(error)
        yield Served(servers, absent, askers, rows)


async def prepared(url: str, targets: Sequence[Target]) -> tuple[int, int | None]:
    """Prepare the database for the targets and vacuum it; return the number of rows, and the
    process.
    """
    connection = await asyncpg.connect(postgres.as_owner(url))
    try:
        for sql in {target.sql for target in targets if target.sql}:
            await connection.execute(sql.read_text())
        await connection.execute("VACUUM ANALYZE")
        rows = await connection.fetchval("SELECT sum(n_live_tup)::bigint FROM pg_stat_user_tables")
        return rows, machine.postmaster(await connection.fetchval("SELECT pg_backend_pid()"))
    finally:
        await connection.close()


@contextmanager
def running(
    target: Target, folder: Path, environment: Mapping[str, str], database: int | None
) -> Iterator[Server]:
    # Output goes to a file, since a pipe would have to be read.
    port, printed = free_port(), folder / f"{target.key}.txt"
    own = {"SANDBOX": "true", "SANDBOX_FILE": str(folder / f"{target.key}.sandbox")}
    with printed.open("w") as out:
        process = subprocess.Popen(
            target.started_by(port),
            cwd=PROJECT,
            env={**environment, **own, **target.settings},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(process, port, printed)
        yield Server(target, port, process.pid, database)
    finally:
        process.terminate()
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int, printed: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while not listens(port):
        if process.poll() is not None or time.monotonic() > until:
            last = printed.read_text().strip().rpartition("\n")[2]
            raise NotStarted(f"it did not start: {last}")
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


async def facts(server_url: str) -> str:
    connection = await asyncpg.connect(server_url)
    try:
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return f"{machine.described()}, PostgreSQL {version}"
