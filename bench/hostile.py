"""Delay of a client's page by hostile callers of another practice: `python -m bench.hostile`.

A client's billing page is requested several times a second: first without other load, then beside
two processes that only use the processor, beside one dashboard at its worst, beside twenty hostile
callers of each kind, and last beside all of them. The busy processes show the part of the delay
that comes from sharing this machine's cores, as with two statements of the database. So does one
that runs at the callers' priority, which should delay nobody.

Budgets and limits are those of `portal serve`. Everything is measured in one run on one machine, so
ratios are more reliable than milliseconds. The exit code is 1 if a caller got an internal error;
slowness never decides it.
"""

import asyncio
import datetime as dt
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select

from bench import machine, practice
from bench.commands import database_server, listed, say
from bench.figures import percentile
from bench.hostile_callers import GROUPS, ONE_DASHBOARD, TWENTY, Target, told
from bench.load import HOST, answer, request
from bench.operations import Asked
from bench.servers import ENVIRONMENT, LIFTED, Server, prepared, running
from bench.table import table
from bench.targets import PORTAL
from models import Practice, database
from tests.support import postgres

ASKS_EVERY_S = 0.04
# The status of an internal error, as callers count it.
INTERNAL = "500"
# Limits of the page's p99 beside one token at its worst and beside twenty callers of a kind, and of
# the growth of memory.
MOST_MORE_S, MOST_TIMES, MOST_MB = 0.020, 3.0, 50.0
DASHBOARDS, CLIENTS = 3, 12
BUSY, IDLE = "two busy processes", "one of the callers' priority"
SPINS = "while True: pass"
SPINS_IDLY = f"import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n{SPINS}"
# Connections of the server, as docs/operations.md recommends for a database with these cores.
CORES = os.cpu_count() or 1
CONNECTIONS, DASHBOARD_CONNECTIONS = 2 * CORES, max(CORES // 2, 1)


@dataclass(frozen=True)
class Measured:
    """The page's times in a phase, the server's memory at its end, and the callers' statuses."""

    name: str
    took: Sequence[float]
    resident_mb: float
    answers: dict[str, int]

    @property
    def p99(self) -> float:
        return percentile(sorted(self.took), 99)


def main(
    seconds: Annotated[int, typer.Option(min=2, help="Seconds of each phase.")] = 60,
    clients: Annotated[int, typer.Option(min=200, help="Clients of the two practices.")] = 2_000,
    kinds: Annotated[
        str, typer.Option(help=f"Kinds of callers, separated by commas: {', '.join(GROUPS)}.")
    ] = ",".join(TWENTY),
    connections: Annotated[
        int, typer.Option(min=1, help="DATABASE_CONNECTIONS of the server.")
    ] = CONNECTIONS,
    dashboards: Annotated[
        int, typer.Option(min=1, help="DASHBOARD_CONNECTIONS of the server.")
    ] = DASHBOARD_CONNECTIONS,
) -> None:
    """Measure a client's page, quiet and beside hostile callers."""
    settings = {
        "DATABASE_CONNECTIONS": str(connections),
        "DASHBOARD_CONNECTIONS": str(dashboards),
    }
    with database_server() as url:
        found = asyncio.run(measure(url, seconds, clients, listed(kinds), settings))
    typer.echo(described(found))
    raise typer.Exit(int(any(INTERNAL in each.answers for each in found)))


async def measure(
    server_url: str,
    seconds: int,
    clients: int,
    kinds: Sequence[str],
    settings: Mapping[str, str],
) -> list[Measured]:
    """Measure the page alone, beside busy processes, and beside each group of callers."""
    phases = {"quiet": [], ONE_DASHBOARD: [ONE_DASHBOARD], **{kind: [kind] for kind in kinds}}
    busy, found = [], []
    async with attacked(server_url, clients, settings) as (server, target, page):
        await phase("warm", server, target, page, (), seconds / 4)
        for name, number, program in ((BUSY, 2, SPINS), (IDLE, 1, SPINS_IDLY)):
            with busy_processes(number, program):
                busy.append(await phase(name, server, target, page, (), seconds / 2))
        for name, groups in {**phases, "all at once": kinds}.items():
            found.append(await phase(name, server, target, page, groups, seconds))
            await phase("rest", server, target, page, (), seconds / 4)
    return [found[0], *busy, *found[1:]]


@contextmanager
def busy_processes(number: int, program: str) -> Iterator[None]:
    """Keep processes running that use as much of the processor as they get."""
    with ExitStack() as stack:
        for _ in range(number):
            one = stack.enter_context(subprocess.Popen([sys.executable, "-c", program]))
            stack.callback(one.kill)
        yield


@asynccontextmanager
async def attacked(
    server_url: str, clients: int, settings: Mapping[str, str]
) -> AsyncIterator[tuple[Server, Target, Asked]]:
    """Serve two practices; yield the server, the target of the callers, and the page of another
    client.
    """
    key = secrets.token_hex(32)
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in LIFTED}
    async with postgres.database(server_url) as url:
        await asyncio.to_thread(practice.load, url, key, clients, practices=2)
        target, page = await tokens(url, key)
        _, process = await prepared(url, [PORTAL])
        with tempfile.TemporaryDirectory() as folder:
            own = {"DATABASE_URL": url, "TOKEN_KEY": key}
            with running(
                PORTAL, Path(folder), {**environment, **settings, **own}, process
            ) as server:
                target.port = server.port
                yield server, target, page


async def tokens(url: str, key: str) -> tuple[Target, Asked]:
    now = dt.datetime.now(dt.UTC)
    async with database.open_engine(url) as engine:
        async with engine.connect() as conn:
            hostile, other = (await conn.scalars(select(Practice.id).order_by(Practice.id))).all()
        callers = await practice.askers(engine, key, now, CLIENTS, hostile)
        dashboards = [callers.dashboard]
        for _ in range(DASHBOARDS - 1):
            more = await practice.askers(engine, key, now, 1, hostile)
            dashboards.append(more.dashboard)
        neighbour = await practice.askers(engine, key, now, 1, other)
    return Target(0, url, dashboards, callers.clients), neighbour.asked()["billing"][0]


async def phase(
    name: str, server: Server, target: Target, page: Asked, groups: Sequence[str], seconds: float
) -> Measured:
    """Request the page while the callers of some groups attack."""
    say(f"{name}: {seconds:g} s")
    callers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.hostile_callers"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    attacking = asyncio.create_task(callers.communicate(told(target, groups, seconds)))
    took = await times(server.port, request(page), seconds)
    printed, _ = await attacking
    memory = machine.resident_mb(server.process)
    return Measured(name, took, memory, json.loads(printed))


async def times(port: int, sent: bytes, seconds: float) -> list[float]:
    """Return the seconds of each response to a request sent every few milliseconds."""
    took, until = list[float](), time.perf_counter() + seconds
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        while time.perf_counter() < until:
            one = await answer(reader, writer, sent)
            took.append(one.took)
            await asyncio.sleep(max(ASKS_EVERY_S - one.took, 0))
    finally:
        writer.close()
    return took


def described(found: Sequence[Measured]) -> str:
    """Return a table of the phases, and which limits were kept."""
    quiet, _, _, one, *twenty, _ = found
    rows = [
        [
            each.name,
            f"{len(each.took)}",
            f"{1000 * percentile(sorted(each.took), 50):.1f}",
            f"{1000 * each.p99:.1f}",
            f"{each.p99 / quiet.p99:.1f}",
            f"{1000 * max(each.took):.0f}",
            f"{each.resident_mb:.0f}",
            ", ".join(f"{status}: {count}" for status, count in sorted(each.answers.items())),
        ]
        for each in found
    ]
    head = ["phase", "pages", "p50 ms", "p99 ms", "of quiet", "most ms", "MB", "callers were told"]
    more = one.p99 - quiet.p99
    grown = max(each.resident_mb for each in found) - quiet.resident_mb
    verdicts = (
        (f"one dashboard at its worst: p99 {1000 * more:+.1f} ms", more <= MOST_MORE_S),
        *(
            (f"{each.name}: p99 {times:.1f} times its quiet value", times <= MOST_TIMES)
            for each in twenty
            for times in [each.p99 / quiet.p99]
        ),
        (f"memory: {grown:+.0f} MB at most", grown <= MOST_MB),
    )
    lines = [f"{'kept' if is_kept else 'missed'}: {what}" for what, is_kept in verdicts]
    return "\n".join([table(head, rows), "", *lines])


if __name__ == "__main__":
    typer.run(main)
