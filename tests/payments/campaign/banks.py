"""Stripe's and the banks' own behaviour: they are slow, and have faults of their own."""

import asyncio
import random
from collections import Counter
from typing import Any

from tests.payments.campaign.at_stripe import AtStripe

PENDING_SHARE, FAILING_SHARE = 0.4, 0.3
EVERY_S = (0.3, 1.5)
CALLS = (
    *("payment_intents$", "/confirm$", "/cancel$"),
    *("POST refunds$", "customers$", "setup_intents$"),
)
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 500},
    {"status": 500, "after": True},
    {"status": 429, "code": "lock_timeout"},
    {"status": 503},
    {"twice": True},
    {"drop": True},
    {"drop": True, "after": True},
)


class Banks:
    """Background behaviour during the visits of the clients."""

    def __init__(self, stripe: AtStripe, seed: str) -> None:
        self.stripe, self.random = stripe, random.Random(f"{seed}:banks")
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        while True:
            status = "pending" if self.random.random() < PENDING_SHARE else "succeeded"
            await self.stripe.act("set", name="refunds", value=status)
            matches, fault = self.random.choice(CALLS), self.random.choice(FAULTS)
            await self.stripe.set_faults({"matches": matches} | fault)
            self.counts["Stripe: faults set"] += 1
            await self.settle(self.random.random())
            await asyncio.sleep(self.random.uniform(*EVERY_S))

    async def end(self) -> None:
        """End all faults, and have each pending refund succeed or fail."""
        await self.stripe.set_faults()
        await self.stripe.act("set", name="refunds", value="succeeded")
        await self.settle(1.0)

    async def settle(self, share: float) -> None:
        for account, id_ in self.stripe.refunds_pending():
            if self.random.random() > share:
                continue
            fails = self.random.random() < FAILING_SHARE
            what = "fail_refund" if fails else "settle_refund"
            await self.stripe.act(what, account=account, id=id_)
            self.counts[f"Stripe: pending refunds {'failed' if fails else 'settled'}"] += 1
