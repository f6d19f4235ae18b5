"""State machine of payments: random sequences of tabs, crashes, events and faults.

README.md in this folder says what it proves, and how to read a failure.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from billing.payments import reconcile, webhook_inbox
from billing.stripe.objects import hint
from sandbox import intents
from sandbox.api import Fault
from sandbox.errors import StripeError
from tests.payments.crash_tests.crashing_server import watch_calls, watch_commits
from tests.payments.crash_tests.scenarios import POINTS
from tests.payments.state_machine.judge import judge
from tests.support.leases import run_out
from tests.support.payments import ACCOUNT, ASKS, DECLINED, GOOD, Paying, paying

CARDS = st.sampled_from([GOOD, GOOD, GOOD, ASKS, ASKS, DECLINED, "4000000000009995"])
# Mostly nothing happens; otherwise the process dies, or Stripe's response is late, at a point.
DIES = st.sampled_from([None] * 8 + [*POINTS, "before cancel", "after cancel", "before inbox"])
LATE = [
    f"{when} {call}" for when in ("before", "after") for call in ("create", "confirm", "cancel")
]
FAULTS = st.sampled_from(
    [("payment_intents$", 429), ("confirm", 429), ("confirm", 500), ("cancel", 500), ("GET", 500)]
)
PASSES = st.sampled_from(
    [dt.timedelta(seconds=90), dt.timedelta(minutes=31), dt.timedelta(hours=2)]
)
ONES = st.sampled_from([None, None, 0, -1])
MOST_ROUNDS = 20

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


class Crash(BaseException):
    """The end of the process."""


class Machine(RuleBasedStateMachine):
    """The payments of one client. `made` sets `new_database`."""

    new_database: NewDatabase
    told: Counter[str]

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.die: str | None = None
        self.late: str | None = None
        self.sent: list[tuple[dict[str, Any], str]] = []
        self.run(self.opened())

    async def opened(self) -> None:
        url = await self.stack.enter_async_context(self.new_database())
        self.portal: Paying = await self.stack.enter_async_context(paying(url))
        for context in (self.portal.served_context, self.portal.payment_context):
            watch_commits(context, self.passing)
        watch_calls(self.portal.payment_context, self.passing)
        self.invoices = [await self.portal.invoice(amount) for amount in (10_000, 5_000)]
        await self.portal.credit(2_000)

    def passing(self, point: str) -> None:
        if point == self.die:
            self.die = None
            self.told["crashes"] += 1
            raise Crash
        if point == self.late:
            self.late = None
            raise httpx.ReadTimeout("late")

    def run(self, work: Awaitable[Any], die: str | None = None) -> Any:
        """Return the work's result, or None if the process dies in it."""
        self.die = die
        try:
            return self.loop.run_until_complete(work)
        except Crash:
            return None
        finally:
            self.die = None

    @invariant()
    def counted(self) -> None:
        self.told["steps"] += 1

    # -- actions of clients ------------------------------------------------------------------------

    @rule(card=CARDS, save=st.booleans(), one=ONES, die=DIES)
    def pays(self, card: str, save: bool, one: int | None, die: str | None) -> None:
        self.run(self.pay(card, one, save), die)

    @rule(card=CARDS, save=st.booleans(), one=ONES, die=DIES)
    def pays_afresh(self, card: str, save: bool, one: int | None, die: str | None) -> None:
        """Settle the payment under way, then pay something due."""
        self.run(self.refreshed())
        self.run(self.pay(card, one, save), die)

    @rule(card=CARDS, one=ONES, succeed=st.booleans(), die=DIES)
    def pays_and_asks(self, card: str, one: int | None, succeed: bool, die: str | None) -> None:
        """Answer the bank at once, then ask for the payment's state."""
        self.run(self.refreshed())
        self.run(self.pay(card, one, False))
        self.confirms_to_the_bank(0, succeed)
        self.looks_after(-1, False, die)

    async def pass_time(self, passes: dt.timedelta) -> None:
        self.portal.clock.time += passes
        await run_out(self.portal.engine)

    async def refreshed(self) -> None:
        await self.pass_time(dt.timedelta(minutes=31))
        self.portal.bearer = await self.portal.token()
        await reconcile.reconcile_untouched(self.portal.payment_context)
        self.invoices.append(await self.portal.invoice(4_000))

    @rule(k=st.integers(0, 50), die=DIES)
    def sends_again(self, k: int, die: str | None) -> None:
        if self.sent:
            asked, card = self.sent[k % len(self.sent)]
            save = asked["source"]["newCard"]["saveCard"]
            self.run(self.answered(asked | {"source": self.portal.card(card, saveCard=save)}), die)

    @rule(cards=st.tuples(CARDS, CARDS), ones=st.tuples(ONES, ONES))
    def pays_in_two_tabs(self, cards: tuple[str, str], ones: tuple[int | None, int | None]) -> None:
        async def both() -> None:
            await self.refreshed()
            tabs = zip(cards, ones, strict=True)
            await asyncio.gather(*(self.pay(card, one, False) for card, one in tabs))

        self.run(both())

    async def pay(self, card: str, one: int | None, save: bool) -> None:
        payable = await self.payable(one)
        asked = self.portal.input(payable, self.portal.card(card, saveCard=save))
        if one is not None:
            asked["invoiceId"] = f"inv_{self.invoices[one]}"
        self.sent.append((asked, card))
        await self.answered(asked)

    async def answered(self, asked: dict[str, Any]) -> None:
        query = "mutation P($i: PayInput!) { pay(input: $i) { __typename } }"
        answer = (await self.portal.ask(query, self.portal.bearer, i=asked)).json()
        # A token cannot be looked up while Stripe is out of reach.
        errors = [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert errors in ([], ["UNAVAILABLE"]), answer
        self.told[errors[0] if errors else answer["data"]["pay"]["__typename"]] += 1

    async def payable(self, one: int | None) -> int:
        if one is None:
            query = "{ client { balance { payable { minorUnits } } } }"
            answer = (await self.portal.ask(query, self.portal.bearer)).json()
            return int(answer["data"]["client"]["balance"]["payable"]["minorUnits"])
        query = "query I($id: ID!) { node(id: $id) { ... on Invoice { payable { minorUnits } } } }"
        id_ = f"inv_{self.invoices[one]}"
        answer = (await self.portal.ask(query, self.portal.bearer, id=id_)).json()
        return int(answer["data"]["node"]["payable"]["minorUnits"])

    @rule(k=st.integers(0, 20), gives_up=st.booleans(), die=DIES)
    def looks_after(self, k: int, gives_up: bool, die: str | None) -> None:
        """Ask for a payment's state, or cancel the payment."""
        found = self.portal.store.all("payment_intent")
        if found:
            id_ = f"pmt_{found[k % len(found)]['metadata']['payment']}"
            self.run(self.portal.cancel(id_) if gives_up else self.portal.refresh(id_), die)

    @rule(k=st.integers(0, 20), succeed=st.booleans())
    def confirms_to_the_bank(self, k: int, succeed: bool) -> None:
        waiting = [
            one
            for one in self.portal.store.all("payment_intent")
            if one["status"] == "requires_action"
        ]
        if waiting:
            id_ = waiting[k % len(waiting)]["id"]
            with suppress(StripeError), self.portal.store.transaction():
                intents.authenticate_intent(self.portal.store, ACCOUNT, id_, succeed=succeed)

    @rule(amount=st.sampled_from([700, 3_000]), is_credit=st.booleans())
    def owes_more(self, amount: int, is_credit: bool) -> None:
        async def more() -> None:
            if is_credit:
                await self.portal.credit(amount)
            else:
                self.invoices.append(await self.portal.invoice(amount))

        self.run(more())

    # -- Stripe and time ---------------------------------------------------------------------------

    @rule(k=st.integers(0, 500), times=st.integers(1, 3), die=DIES)
    def is_told(self, k: int, times: int, die: str | None) -> None:
        events = self.portal.store.all("event")
        if events:
            self.run(self.hear([events[k % len(events)]] * times), die)

    async def hear(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            await webhook_inbox.receive(self.portal.payment_context, hint(event))
        while await webhook_inbox.handle_waiting(self.portal.payment_context):
            pass

    @rule(fault=FAULTS, after=st.booleans())
    def stripe_fails(self, fault: tuple[str, int], after: bool) -> None:
        self.portal.api.faults[:] = [Fault(*fault, after=after and fault[1] == 500)]

    @rule(point=st.sampled_from(LATE))
    def stripe_is_late(self, point: str) -> None:
        self.late = point

    @rule(passes=PASSES)
    def time_passes(self, passes: dt.timedelta) -> None:
        async def passed() -> None:
            await self.pass_time(passes)
            self.portal.bearer = await self.portal.token()

        self.run(passed())

    @rule(die=DIES)
    def reconciles(self, die: str | None) -> None:
        self.run(reconcile.reconcile_untouched(self.portal.payment_context), die)

    # -- the end -----------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if hasattr(self, "portal"):
                self.late = None
                self.portal.api.faults.clear()
                self.loop.run_until_complete(self.ended())
                self.loop.run_until_complete(self.judge())
        finally:
            self.close()

    async def judge(self) -> None:
        await judge(self.portal)

    def close(self) -> None:
        """Close all resources, so that nothing is left to the garbage collector."""
        try:
            self.loop.run_until_complete(self.stack.aclose())
            left = asyncio.all_tasks(self.loop)
            assert not left, left
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    async def ended(self) -> None:
        """Deliver all events and let time pass, until nothing is left to do."""
        await self.hear(self.portal.store.all("event"))
        for _ in range(MOST_ROUNDS):
            await self.pass_time(dt.timedelta(minutes=31))
            await self.hear(self.portal.store.all("event"))
            if not await reconcile.reconcile_untouched(self.portal.payment_context):
                return
        raise AssertionError("a payment never comes to rest")


def sized(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def made(new: NewDatabase) -> type[Machine]:
    """Return the machine over databases made by `new`, with counters of its own."""
    return type("PaymentsOf", (Machine,), {"new_database": staticmethod(new), "told": Counter()})
