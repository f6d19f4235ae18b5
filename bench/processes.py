"""Throughput of two processes compared with one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.commands import say
from bench.comparing import all_sides
from bench.figures import ByName
from bench.rounds import Plan, by_turns, warm_up
from bench.servers import served
from bench.targets import PORTAL

OPERATIONS = ("billing", "tiny")
TARGETS = (
    replace(PORTAL, name="one process"),
    replace(
        PORTAL,
        key="portal-of-two",
        name="two processes",
        command=("-m", "server", "serve", "--processes", "2", "--port"),
    ),
)


async def measure(
    server_url: str, plan: Plan, clients: int, operations: Sequence[str] = OPERATIONS
) -> Mapping[str, ByName]:
    """Return the rounds of each server, by operation."""
    found = {}
    async with served(server_url, TARGETS, clients) as both:
        for operation in operations:
            say(f"By turns: {operation}, of one process and of two …")
            sides = await all_sides(both, operation)
            await warm_up(sides)
            done = await by_turns({side.name: side for side in sides}, plan)
            found[operation] = done.whole()
    return found
