"""Work beside the event loop: one thread, which callers take by turns."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from graph.schema import schema
from models.database import Budgets, Caller, RateLimited
from resolvers.planner.plans import PLANNING_COUNTS, Plans

HOSTILE, OTHER = Caller("practice", "hostile"), Caller("practice", "other")


def plans(budgets: Budgets | None = None) -> Plans:
    reads: Any = SimpleNamespace(budgets=budgets or Budgets())
    signer: Any = None
    return Plans(schema(), reads, signer)


async def test_a_token_with_much_to_plan_lets_others_go_first() -> None:
    planning, free, done = plans(), threading.Event(), list[str]()

    def work(name: str) -> None:
        free.wait(10)
        done.append(name)

    asked = [
        asyncio.create_task(planning.apart(caller, work, name))
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


async def test_work_that_is_given_up_keeps_its_place_until_it_ends() -> None:
    planning, free, running = plans(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(_: str) -> None:
        loop.call_soon_threadsafe(running.set)
        free.wait(10)

    given_up = asyncio.create_task(planning.apart(HOSTILE, work, "given up"))
    await running.wait()
    given_up.cancel()
    next_ = asyncio.create_task(planning.apart(OTHER, work, "next"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert planning.thread._work_queue.empty()
    assert not given_up.done()
    free.set()
    await next_
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_planning_counts_in_the_tokens_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [0.0]
    monkeypatch.setattr("resolvers.planner.plans.time.thread_time", lambda: seconds[0])
    planning = plans(Budgets(PLANNING_COUNTS, 2, now=lambda: 0.0))

    def work() -> None:
        seconds[0] += 1

    await planning.apart(HOSTILE, work)
    with pytest.raises(RateLimited):
        await planning.apart(HOSTILE, work)
    await planning.apart(OTHER, work)
