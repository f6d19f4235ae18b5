"""The portal beside the hand-written endpoint: `python -m bench.quick`, in some two minutes.

Both are asked the same by turns, on one PostgreSQL. The figures decide nothing: the exit code is 1
only where the two answer with other bytes.
"""

import asyncio
import datetime as dt
import math
import operator
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import asyncpg
import typer

from bench import machine, practice
from bench.load import Exchange, NotAnswered, Round, answers, load, request
from bench.operations import Asked
from models import connections
from tests import postgres
from tests.demo import free_port

PROJECT = Path(__file__).parent.parent
# Clients of the practice, and how many of them ask.
CLIENTS, ASKING = 400, 100
OPERATIONS = ("billing", "dashboard", "tiny")
PAIRS = 5
WARM_UP_S = 1
STARTS_WITHIN_S = 30
# Both with uvicorn's own settings, as `portal serve` has them.
UVICORN = ("--factory", "--no-server-header", "--port")
BY_HAND = "by hand"
SERVERS = {
    "portal": ("server", "serve", "--port"),
    "unrecorded": ("uvicorn", "bench.unrecorded:served", *UVICORN),
    BY_HAND: ("uvicorn", "bench.hand_written:served", *UVICORN),
}


class Differs(Exception):
    """The two servers answer a request with other bytes."""


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    name: str
    port: int
    process: int


@dataclass
class Measured:
    """What one server did in its rounds of one operation; CPU in seconds, NaN where not known."""

    rates: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    server_cpu: float = 0
    database_cpu: float = 0

    def add(self, done: Round, server_cpu: float, database_cpu: float) -> None:
        self.rates.append(len(done.took) / done.lasted)
        self.took += done.took
        self.server_cpu += server_cpu
        self.database_cpu += database_cpu


def main(
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each round takes.")] = 3,
    pairs: Annotated[int, typer.Option(min=1, help="Rounds of each server and operation.")] = PAIRS,
    unrecorded: Annotated[
        bool, typer.Option("--unrecorded", help="Also a portal without its record of access.")
    ] = False,
) -> None:
    """Measure the portal beside an endpoint written by hand."""
    with postgres.server() as url:
        if url is None:
            typer.echo(f"No PostgreSQL was found: {postgres.HOW_TO_GET}.", err=True)
            raise typer.Exit(2)
        try:
            names = [name for name in SERVERS if unrecorded or name != "unrecorded"]
            asyncio.run(measure(url, seconds, pairs, names))
        except (Differs, NotAnswered) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None


async def measure(server_url: str, seconds: float, pairs: int, names: Sequence[str]) -> None:
    key, now = secrets.token_hex(32), dt.datetime.now(dt.UTC)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(postgres.database(server_url))
        typer.echo("Making a practice …")
        practice.load(url, key, CLIENTS)
        engine = connections.engine(url)
        askers = await practice.askers(engine, key, now, ASKING)
        await engine.dispose()
        await postgres.execute(url, "VACUUM ANALYZE")
        servers = stack.enter_context(started(url, key, names))
        typer.echo(await facts(url))
        typer.echo(f"\n{HEADING}")
        database = await database_process(url)
        asked_of = askers.asked()
        for name in OPERATIONS:
            asked = asked_of[name]
            exchanges = await compared(servers, asked)
            typer.echo(table(name, await measured(servers, exchanges, database, seconds, pairs)))


# -- the servers -----------------------------------------------------------------------------------


@contextmanager
def started(url: str, key: str, names: Sequence[str]) -> Iterator[Sequence[Server]]:
    """The servers, until the end of the block."""
    environment = {**os.environ, "DATABASE_URL": url, "TOKEN_KEY": key}
    with ExitStack() as stack:
        # What they print goes to a file: a pipe would have to be read.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield [
            stack.enter_context(running(name, SERVERS[name], folder, environment)) for name in names
        ]


@contextmanager
def running(
    name: str, module: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[Server]:
    port, printed = free_port(), folder / name
    with printed.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *module, str(port)],
            cwd=PROJECT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + STARTS_WITHIN_S
        while "Uvicorn running" not in printed.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise NotAnswered(f"{name} did not start:\n{printed.read_text()}")
            time.sleep(0.05)
        yield Server(name, port, process.pid)
    finally:
        process.terminate()
        process.wait(20)


async def database_process(url: str) -> int | None:
    connection = await asyncpg.connect(url)
    try:
        return machine.postmaster(await connection.fetchval("SELECT pg_backend_pid()"))
    finally:
        await connection.close()


async def facts(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return f"{machine.described()}, PostgreSQL {version}"


# -- rounds ----------------------------------------------------------------------------------------


async def compared(servers: Sequence[Server], asked: Sequence[Asked]) -> Sequence[Exchange]:
    """The requests with their answers, on which the servers agree to the byte."""
    requests = [request(each) for each in asked]
    bodies = [await answers(server.port, requests) for server in servers]
    for each, *told in zip(asked, *bodies, strict=True):
        if len(set(told)) > 1:
            raise Differs(f"{each.operation}:\n" + "\n".join(body.decode() for body in told))
    return [Exchange(sent, body) for sent, body in zip(requests, bodies[0], strict=True)]


async def measured(
    servers: Sequence[Server],
    exchanges: Sequence[Exchange],
    database: int | None,
    seconds: float,
    pairs: int,
) -> Mapping[str, Measured]:
    """Rounds of each by turns, every other time the other way round."""
    found = {server.name: Measured() for server in servers}
    for server in servers:
        await load(server.port, exchanges, min(WARM_UP_S, seconds))
    for number in range(pairs):
        for server in servers if number % 2 == 0 else reversed(servers):
            before = cpu(server, database)
            done = await load(server.port, exchanges, seconds)
            after = cpu(server, database)
            found[server.name].add(done, *map(operator.sub, after, before))
    return found


def cpu(server: Server, database: int | None) -> tuple[float, float]:
    """Seconds that the server and the database have taken so far."""
    return machine.cpu_of(server.process), machine.cpu_of(database)


# -- what is printed -------------------------------------------------------------------------------

HEADING = (
    f"{'':22}{'requests/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'server CPU ms':>18}"
    f"{'database CPU ms':>18}"
)


def table(operation: str, found: Mapping[str, Measured]) -> str:
    lines = [row(operation if n == 0 else "", name, found[name]) for n, name in enumerate(found)]
    for name, ours in found.items():
        if name != BY_HAND:
            ratios = [a / b for a, b in zip(ours.rates, found[BY_HAND].rates, strict=True)]
            low, high = min(ratios), max(ratios)
            shown = f"{median(ratios):10.2f}   ({low:.2f} to {high:.2f})"
            lines.append(f"{name if len(found) > 2 else '':11}{'ratio':11}{shown}")
    return "\n".join(lines)


def row(operation: str, server: str, found: Measured) -> str:
    cuts = quantiles(found.took, n=100)
    times = f"{cuts[49] * 1000:10.2f}{cuts[98] * 1000:10.2f}"
    cpus = each(found.server_cpu, found) + each(found.database_cpu, found)
    return f"{operation:11}{server:11}{median(found.rates):10.0f}{times}{cpus}"


def each(cpu: float, found: Measured) -> str:
    """Milliseconds a request."""
    text = "-" if math.isnan(cpu) else f"{cpu / len(found.took) * 1000:.2f}"
    return f"{text:>18}"


if __name__ == "__main__":
    typer.run(main)
