"""Growth of a page's time with the practice: `python -m bench.growth`.

The portal's billing page is measured in practices of 90, 900 and 9,000 clients, some ten thousand,
a hundred thousand and a million rows. The clients who ask have equally many rows in each.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from bench import promises, table
from bench.commands import Rounds, Seconds, database_server, listed, say, say_who_asks
from bench.comparing import all_sides
from bench.results import Growth
from bench.rounds import Plan, by_turns, warm_up
from bench.servers import served
from bench.targets import PORTAL

SIZES = (90, 900, 9_000)
OPERATION = "billing"
# The smallest practice has hardly more clients with enough invoices.
ASKING = 20


def main(
    seconds: Seconds = 2,
    rounds: Rounds = 5,
    clients: Annotated[
        str, typer.Option(help="Clients of each practice, separated by commas.")
    ] = "90,900,9000",
) -> None:
    """Measure the billing page in a small practice and in large ones."""
    say_who_asks()
    plan = Plan(seconds, rounds, promises.CONNECTIONS)
    with database_server() as url:
        found = asyncio.run(measure(url, plan, [int(size) for size in listed(clients)]))
    typer.echo(table.grown(found))


async def measure(server_url: str, plan: Plan, sizes: Sequence[int] = SIZES) -> Growth:
    async with AsyncExitStack() as stack:
        sides, rows = {}, {}
        for clients in sizes:
            say(f"Making a practice of {clients:,} clients …")
            one = await stack.enter_async_context(served(server_url, [PORTAL], clients, ASKING))
            name = f"{clients:,} clients"
            (sides[name],), rows[name] = await all_sides(one, OPERATION), one.rows
        say("By turns: the billing page of each practice …")
        await warm_up(list(sides.values()))
        return Growth(rows, (await by_turns(sides, plan)).whole())


if __name__ == "__main__":
    typer.run(main)
