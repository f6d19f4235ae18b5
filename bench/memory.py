"""Growth of the server's memory: `python -m bench.memory`, twenty minutes of every operation.

The operations take turns over several connections; every ten seconds the memory is read. Its growth
is that of a line fitted to the last three quarters: caches (plans, prepared statements,
connections) are full by then.
"""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from bench import figures, machine, table, wrk
from bench.commands import database_server, say, say_who_asks
from bench.comparing import Side, all_sides
from bench.figures import Round
from bench.load import Exchange, load
from bench.operations import NAMES
from bench.servers import served
from bench.targets import PORTAL

CONNECTIONS, LOOKS_EVERY_S = 8, 10
LOOKS_A_MINUTE = 60 // LOOKS_EVERY_S
# Memory is called flat if it grows by less than this share.
FLAT = 0.02


def main(
    minutes: Annotated[int, typer.Option(min=1, help="Minutes of requests.")] = 20,
    clients: Annotated[int, typer.Option(min=60, help="Clients of the practice.")] = 400,
) -> None:
    """Measure the portal's memory while everything is asked of it."""
    say_who_asks()
    with database_server() as url:
        found = asyncio.run(measure(url, minutes, clients))
    typer.echo(described(found))


async def measure(server_url: str, minutes: int, clients: int) -> list[float]:
    """Return the resident megabytes, every ten seconds."""
    found = []
    async with served(server_url, [PORTAL], clients) as one:
        side = mixed([side for name in NAMES for side in await all_sides(one, name)])
        for look in range(minutes * LOOKS_A_MINUTE):
            done = await ask(side)
            found.append(machine.resident_mb(side.server.process))
            if look % LOOKS_A_MINUTE == LOOKS_A_MINUTE - 1:
                minute = look // LOOKS_A_MINUTE + 1
                say(f"minute {minute:3}: {found[-1]:7.1f} MB, {done.rate:7,.0f} requests/s")
    return found


async def ask(side: Side) -> Round:
    asked = wrk.load if wrk.is_there() else load
    return await asked(side.server.port, side.exchanges, CONNECTIONS, LOOKS_EVERY_S)


def mixed(sides: Sequence[Side]) -> Side:
    """Return one server with the requests of all, taking turns."""
    return replace(sides[0], exchanges=list(by_turns([side.exchanges for side in sides])))


def by_turns(lists: Sequence[Sequence[Exchange]]) -> Iterator[Exchange]:
    """Yield one item of each list, then the next of each; short lists are repeated."""
    cycles = [itertools.cycle(each) for each in lists]
    for _ in range(max(len(each) for each in lists)):
        yield from (next(cycle) for cycle in cycles)


def described(found: Sequence[float]) -> str:
    """Return a table of the memory at the end of each minute, and the growth."""
    ends = found[LOOKS_A_MINUTE - 1 :: LOOKS_A_MINUTE]
    rows = ([str(minute), f"{mb:.1f}"] for minute, mb in enumerate(ends, 1))
    later = found[len(found) // 4 :]
    grown = figures.relative_slope(later)
    verdict = "flat" if grown < FLAT else "not flat"
    lasted = len(later) * LOOKS_EVERY_S / 60
    return (
        f"{table.table(['minute', 'resident MB'], rows)}\n\n"
        f"Over the last {lasted:g} minutes a straight line through these grows by"
        f" {grown:.1%} ({grown / lasted:.2%} a minute): {verdict}."
    )


if __name__ == "__main__":
    typer.run(main)
