"""Each step's guard in a payment is needed: without it a test fails.

Three faults are found by the state machine. Two are found by interleavings written out here, since
the machine takes one step after another and does not reach them. The guards around a payment are in
tests/mutants/test_guard_mutants.py.
"""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import seed
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import text, update

from billing.payments import confirm, reconcile, settle, start
from billing.payments.confirm import PaymentSnapshot
from billing.payments.context import PaymentContext
from billing.stripe import Stripe
from billing.stripe.objects import Intent, IntentStatus
from models import DeclineReason, Payment, PaymentState
from models.database import engine
from models.ids import new_id
from models.migrations import upgrade
from sandbox import intents
from tests.conftest import SEED
from tests.payments.state_machine import made, sized
from tests.support.fixtures import sqlite_file
from tests.support.payments import ACCOUNT, ASKS, Paying, paying
from tests.support.triggers import remove_triggers

pytestmark = pytest.mark.campaign

EXAMPLES, STEPS = 60, 45


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0))


def goes_red(new: Callable[[], AbstractAsyncContextManager[str]]) -> None:
    machine = made(new)
    # Two concurrent tabs do not race the same way each time, which Hypothesis calls flaky.
    with pytest.raises((AssertionError, FlakyFailure)):
        run_state_machine_as_test(seed(SEED)(machine), settings=sized(EXAMPLES, STEPS))


# -- found by the state machine --------------------------------------------------------------------


@pytest.mark.slow
def test_without_the_unique_claim_the_machine_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def without() -> AsyncIterator[str]:
        url = f"sqlite:///{tmp_path / new_id()}.sqlite"
        writing = engine(url)
        await upgrade(writing)
        async with writing.begin() as conn:
            await conn.execute(text("DROP INDEX uq_payment_active"))
        await writing.dispose()
        yield url

    async def nothing(*_: Any) -> None:
        """Write no claim. Claims enforce the same rule: an invoice is claimed once."""

    monkeypatch.setattr(start, "claim_dues", nothing)
    goes_red(without)


@pytest.mark.rest
def test_without_the_fence_the_machine_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_gate(
        context: PaymentContext, paying: Any, reason: DeclineReason | None
    ) -> PaymentSnapshot:
        intent = await context.stripe.intent(paying.stripe_account, paying.stripe_id)
        given_up = dataclasses.replace(intent, status=IntentStatus.CANCELED)
        await settle.apply_intent(context, paying, given_up, reason)
        return await confirm.snapshot(context, paying.practice_id, paying.id)

    monkeypatch.setattr(confirm, "fence", open_gate)
    goes_red(lambda: sqlite_file(tmp_path / f"{new_id()}.sqlite"))


@pytest.mark.slow
def test_with_create_and_confirm_in_one_step_the_machine_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, drive = Stripe.create, confirm.advance
    tokens: dict[str, str | None] = {}

    async def driven(
        context: PaymentContext, practice_id: str, id_: str, token: str | None
    ) -> PaymentSnapshot:
        tokens[id_] = token
        return await drive(context, practice_id, id_, token)

    async def at_once(self: Stripe, account: str, order: Any) -> Intent:
        made = await create(self, account, order)
        token = tokens[order.payment_id]
        return await self.confirm(order.payment_id, account, made.id, token=token)

    monkeypatch.setattr(confirm, "advance", driven)
    monkeypatch.setattr(Stripe, "create", at_once)
    goes_red(lambda: sqlite_file(tmp_path / f"{new_id()}.sqlite"))


# -- found by an interleaving ----------------------------------------------------------------------


@pytest.fixture
def pausing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Any]:
    """Hold the first call of a method after it is done, until the test releases it."""

    def pause(of: Any, name: str) -> tuple[asyncio.Event, asyncio.Event]:
        reached, go_on, call = asyncio.Event(), asyncio.Event(), getattr(of, name)

        async def paused(*given: Any, **named: Any) -> Any:
            answer = await call(*given, **named)
            if not reached.is_set():
                reached.set()
                await go_on.wait()
            return answer

        monkeypatch.setattr(of, name, paused)
        return reached, go_on

    return pause


async def given_up_between_create_and_t2(portal: Paying, pausing: Any) -> int:
    """Cancel a slow tab's payment between A and T2, let another tab pay, and let the slow one go
    on.
    """
    await portal.invoice(10_000)
    reached, go_on = pausing(Stripe, "create")
    slow = asyncio.create_task(portal.pay(10_000, portal.card()))
    await reached.wait()
    portal.clock.time += dt.timedelta(seconds=90)
    await reconcile.reconcile_untouched(portal.payment_context)
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"
    go_on.set()
    await slow
    return len(portal.charges())


async def stale_after_success(portal: Paying, pausing: Any) -> PaymentState:
    """Read that the cardholder is awaited, then that the money moved; write the first
    reading last.
    """
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    reached, go_on = pausing(Stripe, "intent")
    stale = asyncio.create_task(portal.refresh(payment))
    await reached.wait()
    (waiting,) = portal.store.all("payment_intent")
    with portal.store.transaction():
        intents.authenticate_intent(portal.store, ACCOUNT, waiting["id"], succeed=True)
    assert (await portal.refresh(payment))["__typename"] == "PaySucceeded"
    go_on.set()
    await stale
    (row,) = await portal.all(Payment)
    state: PaymentState = row.state
    return state


async def test_canceled_payment_is_not_confirmed(tmp_path: Path, pausing: Any) -> None:
    async with paying(f"sqlite:///{tmp_path / 'portal.sqlite'}") as portal:
        assert await given_up_between_create_and_t2(portal, pausing) == 1


async def test_without_compare_and_set_it_is_charged_twice(
    tmp_path: Path, pausing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def announced(context: PaymentContext, paid: Any) -> bool:
        intent = await confirm.create_payment_intent(context, paid)
        async with context.engine.begin() as conn:
            statement = update(Payment).where(Payment.id == paid.id)
            confirming = {"stripe_id": intent.id, "state": PaymentState.CONFIRMING}
            await conn.execute(statement.values(confirming))
        return True

    monkeypatch.setattr(confirm, "mark_confirming", announced)
    async with paying(f"sqlite:///{tmp_path / 'portal.sqlite'}") as portal:
        await remove_triggers(portal.engine, "payment")
        assert await given_up_between_create_and_t2(portal, pausing) == 2


async def test_succeeded_payment_stays_succeeded(tmp_path: Path, pausing: Any) -> None:
    async with paying(f"sqlite:///{tmp_path / 'portal.sqlite'}") as portal:
        assert await stale_after_success(portal, pausing) is PaymentState.SUCCEEDED


async def test_success_that_is_not_final_is_lost(
    tmp_path: Path, pausing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgetful(
        context: PaymentContext, asked: Any, intent: Intent, reason: DeclineReason | None = None
    ) -> bool:
        state, now = settle.state_of(intent, reason), context.now()
        async with context.engine.begin() as conn:
            if state is PaymentState.SUCCEEDED:
                await settle.record_success(conn, asked.practice_id, asked.id, now, intent)
                return True
            statement = update(Payment).where(Payment.id == asked.id)
            await conn.execute(statement.values(state=state, paid_at=None))
        return True

    monkeypatch.setattr(confirm, "apply_intent", forgetful)
    async with paying(f"sqlite:///{tmp_path / 'portal.sqlite'}") as portal:
        await remove_triggers(portal.engine, "payment")
        assert await stale_after_success(portal, pausing) is PaymentState.REQUIRES_ACTION
