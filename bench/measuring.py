"""Measurement of every operation of every target by turns, over each number of connections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench import rounds
from bench.commands import say
from bench.comparing import Side, sides
from bench.load import NotAnswered
from bench.operations import NAMES
from bench.results import Results
from bench.rounds import Plan
from bench.servers import Served, served
from bench.targets import TARGETS, Target

# Clients of the practice, and of the large one, which has some 104,000 invoices.
CLIENTS, LARGE = 400, 15_000
# Operations of the large practice.
OF_LARGE = ("counted",)


@dataclass(frozen=True)
class Choice:
    """The selection to measure; everything by default."""

    targets: Sequence[Target] = TARGETS
    operations: Sequence[str] = NAMES
    connections: Sequence[int] = (1, 8, 64)
    seconds: int = 2
    rounds: int = 3
    clients: int = CLIENTS
    large: int = LARGE

    def practices(self) -> Mapping[int, list[str]]:
        """Return the operations for each size of practice, in clients."""
        small = [name for name in self.operations if name not in OF_LARGE]
        large = [name for name in self.operations if name in OF_LARGE]
        return {
            size: names for size, names in ((self.clients, small), (self.large, large)) if names
        }

    def plan(self, connections: int) -> Plan:
        return Plan(self.seconds, self.rounds, connections)


async def measure(server_url: str, choice: Choice, results: Results) -> None:
    """Add the operations to the results, practice by practice."""
    for clients, names in choice.practices().items():
        say(f"Making a practice of {clients:,} clients …")
        async with served(server_url, choice.targets, clients) as those:
            results.absent |= those.absent
            for name in names:
                await measure_one(those, name, choice, results)


async def measure_one(those: Served, name: str, choice: Choice, results: Results) -> None:
    found = await agreeing(those, name, results)
    results.sizes[name] = {side.name: side.size for side in found}
    found = await warmed_up(found, name, results)
    by_connections = {}
    for connections in choice.connections:
        say(f"By turns: {name}, over {connections} connections …")
        done = await rounds.by_turns({side.name: side for side in found}, choice.plan(connections))
        note(results, name, done.failed)
        by_connections[connections] = {each: those for each, those in done.rounds.items() if those}
    results.operations[name] = by_connections
    await agreeing(replace(those, servers=[side.server for side in found]), name, results)


async def warmed_up(sides: Sequence[Side], name: str, results: Results) -> list[Side]:
    """Return the servers that answer under some load."""
    found = []
    for side in sides:
        try:
            await rounds.warm_up([side])
            found.append(side)
        except (NotAnswered, OSError) as error:
            note(results, name, {side.name: str(error)})
    return found


async def agreeing(those: Served, name: str, results: Results) -> list[Side]:
    """Return the servers with equal responses now, and record the others as wrong."""
    found, wrong = await sides(those, name)
    note(results, name, wrong)
    return found


def note(results: Results, operation: str, wrong: Mapping[str, str]) -> None:
    for name, why in wrong.items():
        results.wrong.append(f"{operation}: {name} {why}")
        say(f"WRONG: {results.wrong[-1]}")
