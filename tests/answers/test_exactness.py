"""Servers that keep answers send the bytes that a server without a cache would send.

A step is a write, time that passes, or a read that is compared. A failure prints the last steps and
its seed; `-k SEED` plays it again. EXACTNESS_STEPS tries more.
"""

import datetime as dt
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from models.database import open_engine
from tests.answers.api_writes import ApiWriter
from tests.answers.card_writes import KINDS as CARD_KINDS
from tests.answers.card_writes import CardWriter
from tests.answers.kinds import Kinds, SeenWrites
from tests.answers.operator_writes import KINDS as OPERATOR_KINDS
from tests.answers.operator_writes import OperatorWriter
from tests.answers.raw_writes import RawWriter
from tests.answers.servers import Judge, judging
from tests.answers.stripe_double import StripeDouble
from tests.answers.world import World, world
from tests.answers.writing_process import WritingProcess, writing_process
from tests.conftest import SEED
from tests.support import shares
from tests.support.portal import Clock

pytestmark = pytest.mark.campaign

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
STEPS = int(os.environ.get("EXACTNESS_STEPS", shares.number(100_000, quick=150)))
# Steps over the same rows; afterwards they are too strange for most reads.
STEPS_OF_WORLD = shares.number(2_000, quick=150)
# Half of the steps are made on each database.
WORLDS = max(1, STEPS // 2 // STEPS_OF_WORLD)
# The steps on a database after which no kind of write may be missing.
ENOUGH = 25_000
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
        double: StripeDouble,
        seed: int,
    ) -> None:
        self.world, self.judge, self.process = world, judge, process
        self.chance = random.Random(seed)
        self.raw = RawWriter(engine, self.chance, judge.clock)
        self.api = ApiWriter(engine, self.chance, world.secrets)
        self.cards = CardWriter(judge, double, engine, self.chance)
        self.operator = OperatorWriter(judge, double, engine, process, world.practices, self.chance)
        self.seen = SeenWrites(judge)
        self.cases = self.chance.sample(world.cases, WORKING_SET)
        self.cases += self.chance.sample(world.wide, WORKING_SET // 2)
        self.told: Counter[str] = Counter()
        weights: dict[Callable[[], Awaitable[str | None]], int] = {
            self.read: 70,
            self.write_raw: 12,
            self.write_by_api: 8,
            self.write_elsewhere: 4,
            self.write_about_cards: 3,
            self.write_as_operator: 1,
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

    async def write_about_cards(self) -> str:
        return await self.seen.make(await self.cards.write())

    async def write_as_operator(self) -> str:
        return await self.seen.make(await self.operator.write())

    async def pass_time(self) -> str:
        passes = self.chance.choice(PASSES)
        self.judge.clock.time += passes
        return f"{passes.total_seconds()} s"

    async def flush(self) -> None:
        await self.judge.flush()

    async def replace_a_read(self) -> None:
        at = self.chance.randrange(len(self.cases))
        self.cases[at] = self.chance.choice(self.world.cases)


@pytest.fixture(scope="module")
def kinds() -> Iterator[Kinds]:
    """Count the writes of all worlds of this process, and print them at the end."""
    kinds = Kinds()
    yield kinds
    print(f"\n{kinds}")
    if WORLDS * STEPS_OF_WORLD >= ENOUGH:
        assert not kinds.unseen([*CARD_KINDS, *OPERATOR_KINDS])


@pytest.mark.parametrize("number", range(WORLDS))
async def test_kept_answers_are_the_answers_of_now(
    new_database: NewDatabase, kinds: Kinds, tmp_path: Path, number: int
) -> None:
    seed = SEED * 10_000 + number
    print(f"seed {seed}")
    clock = Clock()
    double = StripeDouble(str(tmp_path / "stripe.db"), clock)
    async with (
        new_database() as url,
        world(url, seed) as made,
        judging(url, made.secrets, clock, keeping=2, stripe=double.client) as judge,
        open_engine(made.owner_url) as engine,
        writing_process(made.url, seed, double.path) as process,
    ):
        with closing(double.store):
            steps = Steps(made, judge, engine, process, double, seed)
            await steps.make(STEPS_OF_WORLD)
    kinds.add(steps.seen.kinds)
    kept = judge.told["kept"]
    print(f"{kept} of {judge.told['reads']} answers were kept; {judge.told}")
    print(f"{steps.told}; {steps.api.told}")
    print(steps.seen.kinds)
    assert judge.told["with data"] > steps.told["read"] // 3
    assert kept > judge.told["reads"] // 5
