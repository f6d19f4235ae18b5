"""A client at work, with all that the client's actions need."""

import asyncio
import random
import uuid
from dataclasses import dataclass, field

from tests.payments.campaign.answers import Journal
from tests.payments.campaign.at_stripe import AtStripe
from tests.payments.campaign.page import Page
from tests.payments.campaign.refunding import Operator
from tests.payments.campaign.world import Somebody, World


@dataclass
class Visit:
    """One client's session. Everything that the client chooses is drawn from `random`."""

    somebody: Somebody
    page: Page
    stripe: AtStripe
    world: World
    operator: Operator
    journal: Journal
    # Client secrets of payments that wait for the bank, by payment id.
    secrets: dict[str, str | None] = field(default_factory=dict)

    @property
    def random(self) -> random.Random:
        return self.somebody.random

    @property
    def index(self) -> int:
        return self.somebody.index

    async def act(self, what: str, /, **facts: object) -> None:
        """Have something happen at Stripe, in the account of the client's practice."""
        await self.stripe.act(what, account=self.somebody.account, **facts)

    async def pause(self, least_s: float, most_s: float) -> None:
        await asyncio.sleep(self.random.uniform(least_s, most_s))

    def new_key(self) -> str:
        return f"key-{uuid.UUID(int=self.random.getrandbits(128), version=4)}"
