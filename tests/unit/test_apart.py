"""Work in the planning thread, which callers use by turns."""

import asyncio
import gc
import threading
import time
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from execution.executor import Executor
from execution.planning_thread import BURST_S, PLANNING_COUNTS, SHARE
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
    assert planning.planning.thread._work_queue.empty()
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


async def test_thread_works_for_a_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It rests after a burst, and no more than it has to; later it may work at once again."""
    clock = Processor(monkeypatch)
    monkeypatch.setattr("execution.planning_thread.BURST_S", BURST_S)  # `patience` sets another.
    planning = plans(Budgets())
    began = clock.now
    while clock.now < began + 10:
        await planning.run_in_thread(OTHER, clock.work)
    planning.planning.thread.submit(int).result()  # The last rest has ended.
    assert clock.worked <= SHARE * (clock.now - began) + BURST_S + clock.STEP_S
    assert clock.worked >= SHARE * 10
    clock.now, clock.slept = clock.now + BURST_S / SHARE, []
    for _ in range(int(BURST_S / clock.STEP_S) - 1):
        await planning.run_in_thread(OTHER, clock.work)
    assert clock.slept == []


async def test_two_planning_threads_never_work_at_once() -> None:
    """One thread's collection would otherwise examine what the other has in use."""
    busy, most = 0, 0

    def work() -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        time.sleep(0.01)
        busy -= 1

    threads = plans(), plans()
    await asyncio.gather(*(thread.run_in_thread(OTHER, work) for thread in threads * 4))
    assert most == 1


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
    """A clock, and the processor time of a thread. Each work takes one step of both."""

    STEP_S = 0.01

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.worked = 0.0
        self.slept: list[float] = []
        clock = SimpleNamespace(
            thread_time=lambda: self.worked, monotonic=lambda: self.now, sleep=self.sleep
        )
        monkeypatch.setattr("execution.planning_thread.time", clock)

    def work(self) -> None:
        self.worked += self.STEP_S
        self.now += self.STEP_S

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
