"""Rounds of requests, of each server by turns."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench import load, wrk
from bench.comparing import Side
from bench.figures import ByName, Round
from bench.load import Exchange, NotAnswered

# A round too short for this many responses on each connection is run by bench/load.py, which waits
# for the last ones: those that wrk abandons would matter much.
ANSWERS_EACH = 20
# Seconds of a round above which it is run once, or not at all.
ONCE_ABOVE_S, NEVER_ABOVE_S = 6, 60
WARM_UP_S, WARM_UP_CONNECTIONS = 1, 4

Load = Callable[[int, Sequence[Exchange], int, float], Awaitable[Round]]


@dataclass(frozen=True)
class Plan:
    """The seconds of a round, the number of rounds of each server, and the connections."""

    seconds: float
    rounds: int
    connections: int
    with_wrk: bool = True

    def rounds_of(self, side: Side) -> int:
        """Return the number of rounds that take a reasonable time, since waiting requests are
        answered one after the other.
        """
        lasts = side.alone * self.connections
        if lasts > NEVER_ABOVE_S:
            return 0
        return 1 if lasts > ONCE_ABOVE_S else self.rounds

    def load(self, side: Side) -> Load:
        answers = self.seconds / side.alone
        few = answers < ANSWERS_EACH * self.connections
        return wrk.load if self.with_wrk and not few and wrk.is_there() else load.load


@dataclass
class Done:
    """Rounds, and failures in them, by the names of the servers."""

    rounds: dict[str, list[Round]]
    failed: dict[str, str]

    def whole(self) -> ByName:
        """Return the rounds, or raise NotAnswered if one failed."""
        if self.failed:
            raise NotAnswered(", ".join(f"{name} {why}" for name, why in self.failed.items()))
        return self.rounds


async def warm_up(sides: Sequence[Side]) -> None:
    for side in sides:
        await load.load(side.server.port, side.exchanges, WARM_UP_CONNECTIONS, WARM_UP_S)


async def by_turns(sides: Mapping[str, Side], plan: Plan) -> Done:
    """Run each server's rounds; every second time in reverse order."""
    done = Done({name: [] for name in sides}, {})
    for number in range(plan.rounds):
        for name in in_turn(sides, number):
            if number < plan.rounds_of(sides[name]) and name not in done.failed:
                try:
                    done.rounds[name].append(await one(sides[name], plan))
                except (NotAnswered, OSError) as error:
                    done.failed[name] = f"over {plan.connections} connections: {error}"
    return done


def in_turn(names: Iterable[str], number: int) -> list[str]:
    return list(names) if number % 2 == 0 else list(names)[::-1]


async def one(side: Side, plan: Plan) -> Round:
    """Run a round, and wait until the server has finished the requests under way."""
    before = side.server.cpu()
    done = await plan.load(side)(side.server.port, side.exchanges, plan.connections, plan.seconds)
    await asyncio.sleep((done.worked_on - done.answers) * side.alone)
    return replace(done, cpu=side.server.cpu() - before)
