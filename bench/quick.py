"""The portal and the hand-written endpoint: `python -m bench.quick`, in some three minutes.

The portal is measured twice: it keeps no answer, and it keeps answers of data that is unchanged.

Both get the same requests by turns, on one PostgreSQL, from bench/load.py, which compares every
response. The figures do not decide the exit code: it is 1 only if the two respond with different
bytes.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from bench import figures, table
from bench.commands import Rounds, Seconds, database_server, say
from bench.comparing import all_sides, bodies
from bench.figures import ByName
from bench.load import NotAnswered
from bench.measuring import CLIENTS
from bench.rounds import Plan, by_turns, warm_up
from bench.servers import facts, served
from bench.targets import BY_HAND, PORTAL, UNCHANGED, UNRECORDED, Target

OPERATIONS = ("billing", "anew", "dashboard", "tiny")
CONNECTIONS = 16
HEAD = ("", "requests/s", "ratio", "p50 / p99 ms", "server CPU ms", "database CPU ms")


def main(
    seconds: Seconds = 3,
    rounds: Rounds = 5,
    unrecorded: Annotated[
        bool, typer.Option("--unrecorded", help="Also a portal without its audit log of reads.")
    ] = False,
) -> None:
    """Measure the portal beside an endpoint written by hand."""
    targets = [BY_HAND, PORTAL, UNCHANGED, *([UNRECORDED] if unrecorded else [])]
    with database_server() as url:
        asyncio.run(measure(url, targets, Plan(seconds, rounds, CONNECTIONS, with_wrk=False)))


async def measure(server_url: str, targets: Sequence[Target], plan: Plan) -> None:
    say("Making a practice …")
    async with served(server_url, targets, CLIENTS) as those:
        typer.echo(await facts(server_url))
        for operation in OPERATIONS:
            sides = await all_sides(those, operation)
            if len({tuple(bodies(side)) for side in sides}) > 1:
                raise NotAnswered(f"{operation}: the responses differ in their bytes.")
            await warm_up(sides)
            done = await by_turns({side.name: side for side in sides}, plan)
            typer.echo(f"\n{operation}\n\n{shown(done.whole())}")


def shown(found: ByName) -> str:
    limit = found[BY_HAND.name]
    rows = (
        [
            name,
            f"{figures.rate(rounds):,.0f}",
            table.with_range(figures.ratio(rounds, limit)),
            table.times(rounds),
            *table.cpus(rounds),
        ]
        for name, rounds in found.items()
    )
    return table.table(HEAD, rows)


if __name__ == "__main__":
    typer.run(main)
