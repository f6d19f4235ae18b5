"""CPU of requests without a token, by hostile shape: `python -m bench.strangers`.

Requests are sent one after the other, over PostgreSQL. Each document is new, and comes from another
network address. The target is at most 5 ms of CPU at the 99.9th percentile; the exit code is 1 if
it is missed. The kernel counts the CPU of the process, so other processes do not count, though on a
busy machine the same work takes longer.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import httpx
import typer

from bench import table
from bench.commands import database_server, say
from bench.load import HOST
from bench.servers import Server, served
from bench.targets import PORTAL
from tests.security.fuzz.strangers import SHAPES

PROMISED_MS, PERMILLE = 5.0, 999
WARM_UP = 5
CLIENTS = 20
HEAD = ("", "requests", "p50 ms", "p99.9 ms", "most ms", "answers")
Costs = Mapping[str, tuple[list[float], set[str]]]


def main(
    times: Annotated[int, typer.Option(min=10, help="Requests of each shape.")] = 100,
) -> None:
    """Measure the CPU of requests without a token."""
    with database_server() as url:
        costs = asyncio.run(measure(url, times))
    every = [cost for took, _ in costs.values() for cost in took]
    typer.echo(shown(costs))
    found = permille(every)
    kept = found <= PROMISED_MS
    typer.echo(
        f"\n{len(every)} requests: p50 {median(every):.2f} ms, p99.9 {found:.2f} ms of CPU;"
        f" promised {PROMISED_MS:g} ms: {'kept' if kept else 'MISSED'},"
        f" {found / PROMISED_MS:.2f} of it"
    )
    raise typer.Exit(0 if kept else 1)


async def measure(server_url: str, times: int) -> Costs:
    say("Making a practice …")
    async with served(server_url, [PORTAL], CLIENTS, 1) as those:
        (server,) = those.servers
        address = f"http://{HOST}:{server.port}"
        costs: dict[str, tuple[list[float], set[str]]] = {}
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            for place, name in enumerate(SHAPES):
                say(f"Sending {name} …")
                numbers = range(place * 10_000, place * 10_000 + times + WARM_UP)
                took, answers = await sent(http, server, name, numbers)
                costs[name] = took[WARM_UP:], answers
        return costs


async def sent(
    http: httpx.AsyncClient, server: Server, name: str, numbers: Sequence[int]
) -> tuple[list[float], set[str]]:
    """Return the milliseconds of CPU of each request, and the kinds of responses."""
    took, answers = [], set[str]()
    for number in numbers:
        hostile = SHAPES[name](number)
        before = on_cpu_ns(server.process)
        response = await http.post("/graphql", content=hostile.content, headers=hostile.headers)
        took.append((on_cpu_ns(server.process) - before) / 1e6)
        answers.add(answered(response))
    return took, answers


def answered(response: httpx.Response) -> str:
    errors = response.json().get("errors")
    return errors[0]["extensions"]["code"] if errors else str(response.status_code)


def on_cpu_ns(process: int) -> int:
    """Return the nanoseconds that the threads of a process have been on a CPU."""
    tasks = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)


def permille(costs: Sequence[float]) -> float:
    """Return the 99.9th percentile: of fewer than a thousand, the largest."""
    return sorted(costs)[math.ceil(len(costs) * PERMILLE / 1000) - 1]


def shown(costs: Costs) -> str:
    rows = [
        [
            name,
            f"{len(took)}",
            f"{median(took):.2f}",
            f"{permille(took):.2f}",
            f"{max(took):.2f}",
            " ".join(sorted(answers)),
        ]
        for name, (took, answers) in sorted(costs.items(), key=lambda each: -median(each[1][0]))
    ]
    return table.table(HEAD, rows)


if __name__ == "__main__":
    typer.run(main)
