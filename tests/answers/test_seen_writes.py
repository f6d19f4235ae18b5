"""Writes by people, by Stripe and by commands: each is seen by those who ask, and a missing trigger
is noticed.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.database import open_engine
from tests.answers.card_writes import KINDS as CARD_KINDS
from tests.answers.card_writes import CardWriter
from tests.answers.kinds import SeenWrites, Write
from tests.answers.missing_triggers import triggers_of, without
from tests.answers.operator_writes import KINDS as OPERATOR_KINDS
from tests.answers.operator_writes import OperatorWriter
from tests.answers.servers import OldAnswer, judging
from tests.answers.stripe_double import StripeDouble
from tests.answers.world import World, world
from tests.answers.writing_process import writing_process
from tests.support.portal import Clock

pytestmark = [pytest.mark.campaign, pytest.mark.rest, pytest.mark.twins(4)]

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# The tables that a kind of write changes, as far as answers depend on them.
SEEN_IN = {
    "saves a card": ("payment_method",),
    "card renewed at Stripe": ("payment_method",),
    "issues statements": ("statement", "statement_line"),
}


# How often a kind is tried: by chance a client has paid before, or has no card.
TRIES = 6


@dataclass
class Writers:
    """The writers, and what was seen of their writes."""

    seen: SeenWrites
    cards: CardWriter
    operator: OperatorWriter

    async def write(self, kind: str) -> None:
        """Make a write of a kind, and compare its reads before and after it."""
        # Only the practice of yen lets clients remove cards.
        currency = "JPY" if kind == "removes a card" else "USD"
        if kind in CARD_KINDS:
            who = await self.cards.payer(currency)
            await self.seen.make(Write(kind, who, lambda: CARD_KINDS[kind](self.cards, who)))
            return
        make = OPERATOR_KINDS[kind]
        who = f"{currency} client 0"
        await self.seen.make(Write(kind, who, lambda: make(self.operator, currency)))


@pytest.fixture
async def filled(new_database: NewDatabase) -> AsyncIterator[World]:
    async with new_database() as url, world(url, 1, generated=1) as made:
        yield made


@asynccontextmanager
async def writing(made: World, folder: Path) -> AsyncIterator[Writers]:
    """Yield writers over the servers of a judge."""
    clock, chance = Clock(), random.Random(1)
    double = StripeDouble(str(folder / "stripe.db"), clock)
    async with (
        judging(made.url, made.secrets, clock, stripe=double.client) as judge,
        open_engine(made.owner_url) as engine,
        writing_process(made.url, 1, double.path) as process,
    ):
        with closing(double.store):
            yield Writers(
                SeenWrites(judge),
                CardWriter(judge, double, engine, chance),
                OperatorWriter(judge, double, engine, process, made.practices, chance),
            )


async def test_each_kind_of_write_is_seen(filled: World, tmp_path: Path) -> None:
    async with writing(filled, tmp_path) as writers:
        for kind in (*CARD_KINDS, *OPERATOR_KINDS):
            for _ in range(TRIES):
                await writers.write(kind)
                if writers.seen.kinds.seen[kind]:
                    break
    unseen = writers.seen.kinds.unseen([*CARD_KINDS, *OPERATOR_KINDS])
    assert not unseen, f"{unseen}\n{writers.seen.kinds}"


@pytest.mark.parametrize("kind", SEEN_IN)
async def test_write_without_triggers_is_noticed(filled: World, tmp_path: Path, kind: str) -> None:
    async with open_engine(filled.owner_url) as engine, AsyncExitStack() as stack:
        async with engine.connect() as conn:
            triggers = [one for table in SEEN_IN[kind] for one in await triggers_of(conn, table)]
        for trigger in triggers:
            await stack.enter_async_context(without(engine, trigger))
        async with writing(filled, tmp_path) as writers:
            with pytest.raises(OldAnswer):
                await writers.write(kind)
