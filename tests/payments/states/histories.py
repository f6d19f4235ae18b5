"""Random histories of a payment: acts here, and reports of Stripe, early or late."""

import asyncio
import datetime as dt
from collections.abc import Set
from random import Random
from typing import Any

from billing.payments import confirm, force_end, refund, reversals, settle
from billing.payments.context import PaymentContext
from billing.payments.refund import NotRefunded
from billing.payments.states import first
from billing.stripe.objects import Disputed, Intent, IntentStatus, Refunded
from models import (
    Client,
    DeclineReason,
    Dispute,
    DisputeState,
    Payment,
    PaymentMethodKind,
    PaymentState,
    Refund,
    RefundState,
)
from models.ids import new_id
from tests.payments.states import allowed_transitions
from tests.support.payments import ACCOUNT, Paying, unserved
from tests.support.triggers import (
    seen_transitions,
    watch_transitions,
)

# The table, and the states before and after.
Transition = tuple[str, str, str]

CHARGED = 10_000
REPORTED_REFUNDS = [
    RefundState.PENDING,
    RefundState.PENDING,
    RefundState.SUCCEEDED,
    RefundState.FAILED,
]
REPORTED_DISPUTES = [
    DisputeState.OPEN,
    DisputeState.OPEN,
    DisputeState.WON,
    DisputeState.LOST,
    None,
]
HAPPENINGS = ("announce", "give up", "force end", "report")
WEIGHTS = (3, 1, 1, 7)
# Each later state replaces an earlier one; a final one stays.
RANKS = {state: rank for rank, state in enumerate(RefundState)}


def check_end_stays(before: PaymentState, after: PaymentState) -> None:
    is_over = before in (PaymentState.FAILED, PaymentState.CANCELED)
    assert before is not PaymentState.SUCCEEDED or after is PaymentState.SUCCEEDED
    assert not is_over or after in (before, PaymentState.SUCCEEDED)


class Announcing:
    """Stripe, as far as a payment is announced there."""

    async def create(self, _: str, order: Any) -> Intent:
        return intent_of(order.payment_id, IntentStatus.REQUIRES_CONFIRMATION, None)


def intent_of(payment_id: str, status: IntentStatus, decline: DeclineReason | None) -> Intent:
    received = CHARGED if status is IntentStatus.SUCCEEDED else 0
    at = dt.datetime(2026, 3, 15, 11, tzinfo=dt.UTC)
    return Intent(
        id=f"pi_{payment_id}",
        order=None,
        created=at,
        status=status,
        received_minor=received,
        client_secret="secret",
        decline=decline,
        card=None,
        charged_at=at if received else None,
    )


class History:
    """A payment of a new client, and what happens to it."""

    def __init__(self, portal: Paying) -> None:
        self.portal = portal
        self.client_id, self.payment_id = new_id(), new_id()
        stripe: Any = Announcing()
        self.context = PaymentContext(portal.engine, stripe, portal.clock)
        self.read: list[Any] = []

    async def begin(self) -> None:
        own = {"practice_id": self.portal.practice_id, "client_id": self.client_id}
        now = self.portal.clock()
        created = {"created_at": now, "changed_at": now, "checked_at": now}
        client = {"id": self.client_id, "practice_id": self.portal.practice_id, "name": "Ana"}
        await self.portal.insert(Client, client | {"created_at": now})
        await self.portal.insert(
            Payment,
            own
            | created
            | first(PaymentState.CREATED)
            | {
                "id": self.payment_id,
                "method": PaymentMethodKind.CARD,
                "amount_minor": CHARGED,
                "stripe_account": ACCOUNT,
                "created_on": now.date(),
            },
        )

    async def payment(self) -> Any:
        """Read the payment's row."""
        row = await confirm.find_payment(self.context, self.portal.practice_id, self.payment_id)
        self.read.append(row)
        return row

    # -- the payment -------------------------------------------------------------------------------

    async def pay(self, random: Random) -> None:
        """Let things happen to the payment, and check that an end stays."""
        before = await self.payment()
        for happening in random.choices(HAPPENINGS, WEIGHTS, k=12):
            # Mostly the caller has read the row now, sometimes some steps ago.
            asked = self.read[-min(len(self.read), random.choice([1, 1, 1, 2, 4]))]
            if happening == "announce":
                await confirm.mark_confirming(self.context, asked)
            elif happening == "give up":
                await confirm.give_up_unannounced(self.context, asked)
            elif happening == "force end" and asked.stripe_id is not None:
                await force_end.cancel_unanswered(self.context, asked, "closed")
            elif happening == "report" and asked.stripe_id is not None:
                await self.report(asked, random)
            after = await self.payment()
            check_end_stays(before.state, after.state)
            before = after

    async def report(self, asked: Any, random: Random) -> None:
        """Write a report by Stripe: a payment that was declined is canceled there."""
        status = random.choice(list(IntentStatus))
        decline = random.choice([None, DeclineReason.GENERIC])
        is_canceled = status is IntentStatus.CANCELED
        intent = intent_of(self.payment_id, status, decline if is_canceled else None)
        await settle.apply_intent(self.context, asked, intent)
        if status is IntentStatus.SUCCEEDED:
            assert (await self.payment()).state is PaymentState.SUCCEEDED

    # -- its reversals -----------------------------------------------------------------------------

    async def reverse(self, random: Random) -> None:
        """Charge the payment, and write reports of its refunds and disputes."""
        await confirm.mark_confirming(self.context, await self.payment())
        charged = intent_of(self.payment_id, IntentStatus.SUCCEEDED, None)
        await settle.apply_intent(self.context, await self.payment(), charged)
        expected: dict[str, Any] = {}
        for _ in range(6):
            if random.random() < 0.3:
                await self.request()
            numbers = random.sample(range(3), random.randint(0, 3))
            refunds = [self.refunded(number, random) for number in numbers]
            numbers = random.sample(range(3), random.randint(0, 3))
            disputes = [self.disputed(number, random) for number in numbers]
            paid = await self.payment()
            assert await reversals.write_result(self.context, paid, refunds, disputes)
            for told in refunds:
                states = (expected.get(told.id, told.state), told.state)
                expected[told.id] = max(states, key=RANKS.__getitem__)
            for dispute in disputes:
                if dispute.state and expected.get(dispute.id, DisputeState.OPEN) == "OPEN":
                    expected[dispute.id] = dispute.state
        assert await self.states() == expected

    async def states(self) -> dict[str, Any]:
        """Return the states of the payment's refunds and disputes by their ids at Stripe."""
        rows = [*await self.portal.all(Refund), *await self.portal.all(Dispute)]
        own = [row for row in rows if row.payment_id == self.payment_id and row.stripe_id]
        return {row.stripe_id: row.state for row in own}

    async def request(self) -> None:
        """Request a refund here, which Stripe reports as its first one."""
        paid = await self.payment()
        try:
            self.requested = await refund.begin_refund(self.context, paid, 500, new_id())
        except NotRefunded:
            return

    requested: Any = None

    def refunded(self, number: int, random: Random) -> Refunded:
        state = random.choice(REPORTED_REFUNDS)
        id_ = f"re_{self.payment_id}_{number}"
        ours = self.requested.id if self.requested is not None and number == 0 else None
        return Refunded(id_, None, ours, None, None, 500, state, self.at(number))

    def disputed(self, number: int, random: Random) -> Disputed:
        state = random.choice(REPORTED_DISPUTES)
        id_ = f"du_{self.payment_id}_{number}"
        return Disputed(id_, None, 700, "USD", state, self.at(number))

    def at(self, number: int) -> dt.datetime:
        return self.portal.clock() + dt.timedelta(seconds=number)


# -- many histories --------------------------------------------------------------------------------


def run_histories(url: str, most: int, until: Set[Transition] = frozenset()) -> set[Transition]:
    """Play random histories, and return the transitions that happened: allowed ones alone.

    Stop once all transitions of `until` have happened, if there are any.
    """
    seen = set[Transition]()
    with asyncio.Runner() as runner:
        opened = unserved(url)
        portal = runner.run(opened.__aenter__())
        try:
            runner.run(watch_transitions(portal.engine))
            for seed in range(most):
                random = Random(seed)
                for name in ("pay", "reverse"):
                    history = History(portal)
                    runner.run(history.begin())
                    runner.run(getattr(history, name)(random))
                seen = set(runner.run(seen_transitions(portal.engine)))
                if until and until <= seen:
                    break
        finally:
            runner.run(opened.__aexit__(None, None, None))
    assert seen <= allowed_transitions(), seen - allowed_transitions()
    return seen
