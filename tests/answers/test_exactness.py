"""Servers that keep answers send the bytes that a server without a cache would send.

A step is a write, time that passes, or a read that is compared. A failure prints the last steps and
its seed; `-k SEED` plays it again. EXACTNESS_STEPS tries more.
"""

import datetime as dt
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from models.database import open_engine
from tests.answers.api_writes import ApiWriter
from tests.answers.raw_writes import RawWriter
from tests.answers.servers import Judge, hits, judging
from tests.answers.world import World, world
from tests.answers.writing_process import WritingProcess, writing_process
from tests.conftest import SEED
from tests.support import shares

pytestmark = pytest.mark.campaign

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
STEPS = int(os.environ.get("EXACTNESS_STEPS", shares.number(100_000, quick=150)))
# Steps over the same rows; afterwards they are too strange for most reads.
STEPS_OF_WORLD = shares.number(1_000, quick=150)
# Half of the steps are made on each database.
WORLDS = max(1, STEPS // 2 // STEPS_OF_WORLD)
# The reads that are sent again and again in one world.
WORKING_SET = 36
PASSES = [
    *(dt.timedelta(seconds=seconds) for seconds in (0.2, 1, 1, 20, 61, 700)),
    *(dt.timedelta(hours=hours) for hours in (1, 5)),
    # Clocks are set back, too.
    dt.timedelta(seconds=-3),
]


class Steps:
    """The random steps of one world."""

    def __init__(
        self,
        world: World,
        judge: Judge,
        engine: AsyncEngine,
        process: WritingProcess,
        seed: int,
    ) -> None:
        self.world, self.judge, self.process = world, judge, process
        self.chance = random.Random(seed)
        self.raw = RawWriter(engine, self.chance, judge.clock)
        self.api = ApiWriter(engine, self.chance, world.secrets)
        self.cases = self.chance.sample(world.cases, WORKING_SET)
        self.cases += self.chance.sample(world.wide, WORKING_SET // 2)
        self.told: Counter[str] = Counter()
        weights: dict[Callable[[], Awaitable[str | None]], int] = {
            self.read: 70,
            self.write_raw: 12,
            self.write_by_api: 8,
            self.write_elsewhere: 4,
            self.pass_time: 3,
            self.flush: 2,
            self.replace_a_read: 1,
        }
        self.kinds, self.weights = [*weights], [*weights.values()]

    async def make(self, count: int) -> None:
        for number in range(count):
            (step,) = self.chance.choices(self.kinds, self.weights)
            self.told[step.__name__] += 1
            if words := await step():
                self.judge.note(f"{number} {step.__name__}: {words}")

    async def read(self) -> None:
        await self.judge.check(self.chance.choice(self.cases))
        await self.judge.flush_if_due()

    async def write_raw(self) -> str:
        return await self.raw.write()

    async def write_by_api(self) -> str:
        server = self.chance.choice([*self.judge.keeping, self.judge.plain])
        return await self.api.write(server)

    async def write_elsewhere(self) -> str:
        return await self.process.write(self.judge.clock())

    async def pass_time(self) -> str:
        passes = self.chance.choice(PASSES)
        self.judge.clock.time += passes
        return f"{passes.total_seconds()} s"

    async def flush(self) -> None:
        await self.judge.flush()

    async def replace_a_read(self) -> None:
        at = self.chance.randrange(len(self.cases))
        self.cases[at] = self.chance.choice(self.world.cases)


@pytest.mark.parametrize("number", range(WORLDS))
async def test_kept_answers_are_the_answers_of_now(new_database: NewDatabase, number: int) -> None:
    seed = SEED * 10_000 + number
    print(f"seed {seed}")
    before = hits()
    async with (
        new_database() as url,
        world(url, seed) as made,
        judging(url, made.secrets, keeping=2) as judge,
        open_engine(made.owner_url) as engine,
        writing_process(made.owner_url, seed) as process,
    ):
        steps = Steps(made, judge, engine, process, seed)
        await steps.make(STEPS_OF_WORLD)
    kept = hits() - before
    print(f"{kept} of {judge.told['reads']} answers were kept; {steps.told}; {steps.api.told}")
    assert judge.told["with data"] > steps.told["read"] // 3
    assert kept > judge.told["reads"] // 5
