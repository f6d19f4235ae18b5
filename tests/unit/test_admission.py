"""Admission of statements: places, turns, refusals and budgets, without a database."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from models.database import Budgets, Caller, DatabaseBusy, Lane, RateLimited
from models.database.admission import MOST_WAITING, SERVER

ANA, BEN = Caller("one", "ana"), Caller("one", "ben")
CLEO, DAN = Caller("other", "cleo"), Caller("third", "dan")


class Clock:
    """Clock in seconds that only a test advances."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


class Run:
    """Statements in a lane, each started by name and ended by the test."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.began = lane, list[str]()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def start(self, name: str, caller: Caller) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self.statement(name, caller))
        await settle()

    async def statement(self, name: str, caller: Caller) -> None:
        async with self.lane.place(caller):
            self.began.append(name)
            await self.ends[name].wait()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await settle()

    async def cancel(self, name: str) -> None:
        self.tasks[name].cancel()
        await settle()

    async def error(self, name: str) -> BaseException | None:
        with suppress(BaseException):
            await self.tasks[name]
        return self.tasks[name].exception()


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


def lane(size: int = 2, statements: int = 2, wait_s: float = 60) -> Lane:
    return Lane(size, wait_s=wait_s, budgets=Budgets(60, statements, Clock()))


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    made = Run(lane(size=5))
    yield made
    for task in made.tasks.values():
        task.cancel()
    await asyncio.gather(*made.tasks.values(), return_exceptions=True)


async def test_token_has_two_statements_at_once(run: Run) -> None:
    for name in ("a", "b", "c"):
        await run.start(name, ANA)
    await run.start("other token", BEN)
    assert run.began == ["a", "b", "other token"]
    await run.end("a")
    assert run.began[-1] == "c"


async def test_last_place_is_kept_from_a_practice_that_has_all_others(run: Run) -> None:
    for number in range(6):
        await run.start(f"one {number}", Caller("one", f"token {number}"))
    assert run.lane.free == 1
    await run.start("other", CLEO)
    assert run.began[-1] == "other"


async def test_server_itself_has_no_limit_of_statements(run: Run) -> None:
    for number in range(4):
        await run.start(f"{number}", SERVER)
    assert len(run.began) == 4


async def test_practices_and_their_tokens_take_turns() -> None:
    run = Run(lane(size=1, statements=1))
    await run.start("first", ANA)
    for number in range(3):
        await run.start(f"ana {number}", ANA)
    for name, caller in (("ben", BEN), ("cleo", CLEO), ("dan", DAN), ("cleo 2", CLEO)):
        await run.start(name, caller)
    for _ in range(7):
        await run.end(run.began[-1])
    order = ["ana 0", "cleo", "dan", "ben", "cleo 2", "ana 1", "ana 2"]
    assert run.began == ["first", *order]


async def test_token_at_its_limit_does_not_block_others(run: Run) -> None:
    for name in ("a", "b", "c"):
        await run.start(name, ANA)
    for number in range(2):
        await run.start(f"one {number}", Caller("one", f"token {number}"))
    await run.start("cleo", CLEO)
    await run.start("dan", DAN)
    assert run.began == ["a", "b", "one 0", "one 1", "cleo"]
    await run.end("cleo")
    assert run.began[-1] == "dan"


async def test_wait_beyond_the_limit_is_refused_with_the_cause() -> None:
    run = Run(lane(size=1, statements=1, wait_s=0.01))
    await run.start("first", ANA)
    await run.start("second", ANA)
    await run.start("other", BEN)
    own, others = await run.error("second"), await run.error("other")
    assert isinstance(own, RateLimited)
    assert own.retry_after_s == 1
    assert isinstance(others, DatabaseBusy)
    assert (run.lane.waiting, run.lane.queues) == (0, {})


async def test_waiting_statements_are_limited_per_token_and_in_all() -> None:
    run = Run(lane(size=1, statements=1))
    most = run.lane.most_waiting_a_token
    for number in range(most + 2):
        await run.start(f"{number}", ANA)
    assert isinstance(await run.error(f"{most + 1}"), RateLimited)
    for number in range(MOST_WAITING):
        await run.start(f"other {number}", Caller("other", f"token {number}"))
    assert run.lane.waiting == MOST_WAITING
    assert isinstance(await run.error(f"other {MOST_WAITING - 1}"), DatabaseBusy)
    for task in run.tasks.values():
        task.cancel()
    await settle()
    assert (run.lane.waiting, run.lane.free, run.lane.queues) == (0, 1, {})


async def test_canceled_waiter_gets_no_place() -> None:
    run = Run(lane(size=1, statements=1))
    for name, caller in (("first", ANA), ("gone", BEN), ("next", CLEO)):
        await run.start(name, caller)
    await run.cancel("gone")
    await run.end("first")
    assert run.began == ["first", "next"]


async def test_place_handed_to_a_canceled_waiter_goes_to_the_next() -> None:
    run = Run(lane(size=1, statements=1))
    for name, caller in (("first", ANA), ("gone", BEN), ("next", CLEO)):
        await run.start(name, caller)
    run.ends["first"].set()
    while not run.lane.of_token["ben"]:  # noqa: ASYNC110 (there is no event)
        await asyncio.sleep(0)
    await run.cancel("gone")
    assert run.began == ["first", "next"]
    await run.end("next")
    assert run.lane.free == 1


async def test_random_starts_ends_and_cancellations_leave_no_place_taken() -> None:
    chance = random.Random(1)
    run, names = Run(lane(size=5)), list[str]()
    for number in range(2_000):
        if names and chance.random() < 0.5:
            name = names.pop(chance.randrange(len(names)))
            await (run.cancel(name) if chance.random() < 0.3 else run.end(name))
        else:
            practice = chance.choice("abc")
            caller = Caller(practice, practice + chance.choice("123"))
            outcome = Caller(practice, caller.token_id, reads_outcome=True)
            names.append(f"{number}")
            await run.start(names[-1], outcome if chance.random() < 0.1 else caller)
        assert run.lane.waiting == sum(
            len(queue) for tokens in run.lane.queues.values() for queue in tokens.values()
        )
        assert run.lane.next() is None
    for name in names:
        await run.cancel(name)
    left = run.lane.free, run.lane.waiting, run.lane.of_token, run.lane.of_practice
    assert left == (5, 0, {}, {})


# -- budgets ---------------------------------------------------------------------------------------


async def test_token_over_its_budget_is_refused_with_the_time_to_wait() -> None:
    clock = Clock()
    places = Lane(2, budgets=Budgets(20, 2, clock))
    for seconds in (15, 15):
        async with places.place(ANA):
            clock.time += seconds
    # Of the first 15 s, 5 came back within these 30 s, so 25 s are used.
    with pytest.raises(RateLimited) as refused:
        await places.place(ANA).__aenter__()
    assert refused.value.cost == {
        "secondsPerMinute": 20,
        "secondsLeft": 0,
        "statementsAtOnce": 2,
        "retryAfter": refused.value.retry_after_s,
    }
    async with places.place(BEN):
        pass
    clock.time += refused.value.retry_after_s
    async with places.place(ANA):
        assert places.budgets.left(ANA) >= 1
    clock.time += 60
    assert places.budgets.left(ANA) == 20


async def test_outcome_of_a_change_is_read_over_budget() -> None:
    clock = Clock()
    places = Lane(3, budgets=Budgets(1, 1, clock))
    async with places.place(ANA):
        clock.time += 60
        async with places.place(Caller("one", "ana", reads_outcome=True)):
            pass
    clock.time += 60
    places.budgets.spend(ANA, 30)
    with pytest.raises(RateLimited):
        places.budgets.check(ANA)
    async with places.place(Caller("one", "ana", reads_outcome=True)):
        pass


async def test_time_waited_for_a_locked_table_is_not_charged() -> None:
    clock = Clock()
    places = Lane(1, budgets=Budgets(20, 2, clock))
    with pytest.raises(DatabaseBusy):
        async with places.place(ANA):
            clock.time += 10
            raise DatabaseBusy("a table is locked")
    assert places.budgets.left(ANA) == 20


async def test_budgets_are_kept_for_the_most_recent_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.database.admission.REMEMBERED", 3)
    budgets = Budgets(20, 2, Clock())
    for number in range(5):
        budgets.spend(Caller("one", f"{number}"), 1)
    assert list(budgets.back_at) == ["2", "3", "4"]
