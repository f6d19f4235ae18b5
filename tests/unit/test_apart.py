"""Work in the planning thread, which callers use by turns."""

import asyncio
import gc
import threading
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from execution.executor import PLANNING_COUNTS, Executor
from graph.schema import schema
from models.database import Budgets, Caller, RateLimited

HOSTILE, OTHER = Caller("practice", "hostile"), Caller("practice", "other")


def plans(budgets: Budgets | None = None) -> Executor:
    reads: Any = SimpleNamespace(budgets=budgets or Budgets())
    signer: Any = None
    return Executor(schema(), reads, signer)


async def test_token_with_much_to_plan_does_not_delay_others() -> None:
    planning, free, done = plans(), threading.Event(), list[str]()

    def work(name: str) -> None:
        free.wait(10)
        done.append(name)

    asked = [
        asyncio.create_task(planning.run_in_thread(caller, work, name))
        for caller, name in (
            *((HOSTILE, f"hostile {number}") for number in range(8)),
            (OTHER, "other"),
        )
    ]
    await asyncio.sleep(0)
    free.set()
    await asyncio.gather(*asked)
    assert done.index("other") <= 2
    assert len(done) == 9


async def test_canceled_work_keeps_its_place_until_it_ends() -> None:
    planning, free, running = plans(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(_: str) -> None:
        loop.call_soon_threadsafe(running.set)
        free.wait(10)

    given_up = asyncio.create_task(planning.run_in_thread(HOSTILE, work, "given up"))
    await running.wait()
    given_up.cancel()
    next_ = asyncio.create_task(planning.run_in_thread(OTHER, work, "next"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert planning.thread._work_queue.empty()
    assert not given_up.done()
    free.set()
    await next_
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_planning_is_charged_to_the_tokens_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Processor(monkeypatch)
    planning = plans(Budgets(PLANNING_COUNTS * clock.STEP_S, 2, now=lambda: 0.0))
    await planning.run_in_thread(HOSTILE, clock.work)
    with pytest.raises(RateLimited):
        await planning.run_in_thread(HOSTILE, clock.work)
    await planning.run_in_thread(OTHER, clock.work)


async def test_thread_pauses_for_as_long_as_it_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Processor(monkeypatch)
    planning = plans(Budgets())
    await planning.run_in_thread(OTHER, clock.work)
    await planning.run_in_thread(OTHER, lambda: None)
    assert clock.slept[0] == pytest.approx(clock.STEP_S)


async def test_reference_cycles_of_planning_are_freed_right_after_it() -> None:
    found: list[weakref.ref[Node]] = []

    def work() -> None:
        assert not gc.isenabled()
        node = Node()
        node.itself = node
        found.append(weakref.ref(node))

    planning = plans(Budgets())
    await planning.run_in_thread(OTHER, work)
    assert found[0]() is None
    assert gc.isenabled()


async def test_garbage_collection_is_enabled_after_failed_planning() -> None:
    def fail() -> None:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await plans(Budgets()).run_in_thread(OTHER, fail)
    assert gc.isenabled()


class Node:
    """Object that may refer to itself."""

    itself: "Node"


class Processor:
    """Processor time of a thread. Each work takes one step of it, and pauses are recorded."""

    STEP_S = 0.01

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        monkeypatch.setattr("execution.executor.time.thread_time", lambda: self.seconds)
        monkeypatch.setattr("execution.executor.time.sleep", self.slept.append)

    def work(self) -> None:
        self.seconds += self.STEP_S
