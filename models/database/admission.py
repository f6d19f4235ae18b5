"""Admission of statements: how many a caller may have running, in which order, for how long.

Each process counts for itself, so behind several processes a token may use so many times as much.
"""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from models.database.confinement import EVERY_PRACTICE
from models.database.errors import DatabaseBusy, TransientError
from models.measures import STATEMENT_SECONDS
from models.request_facts import note_statement
from models.tracing import NO_SPAN, SpanKind, span

# Statements that may wait in a lane, and of one token so many for each that it may have running.
MOST_WAITING, WAITING_FOR_EACH = 500, 10
# Of a lane's places this part is kept free of any one practice, if the lane has so many places.
KEPT_FREE, SMALLEST_SHARED_LANE = 5, 4
# Tokens whose use is remembered.
REMEMBERED = 10_000
MINUTE_S = 60
# The part of a minute's seconds that a refused token is asked to wait for.
WORTH_WAITING_FOR = 0.05


@dataclass(frozen=True)
class Caller:
    """The token that a statement is run for, and the practice whose rows the statement sees.

    A caller without a token has no budget. `may_lag`: its reads need not have the last changes of
    others. `reads_outcome`: a change is made already and only its result is read, which is never
    refused because of the budget.
    """

    practice_id: str = ""
    token_id: str = ""
    is_dashboard: bool = False
    may_lag: bool = False
    reads_outcome: bool = False

    @property
    def is_limited(self) -> bool:
        """Return whether the caller has a budget."""
        return bool(self.token_id) and not self.reads_outcome


# A caller that names no practice, and sees no rows of any.
NO_PRACTICE = Caller()
# The server itself, as when it looks a token up and knows no practice yet.
SERVER = Caller(EVERY_PRACTICE)


class RateLimited(Exception):
    """The budget of a token is used up; `cost` has its limits and the rest."""

    def __init__(self, message: str, retry_after_s: int, cost: dict[str, Any]) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.cost = {**cost, "retryAfter": retry_after_s}


class Budgets:
    """Seconds of work that each token may cause in a minute.

    Used seconds come back evenly. A statement that has begun is not ended when they run out; the
    token then waits until what it used beyond its budget has come back too.
    """

    def __init__(
        self,
        seconds: float = math.inf,
        statements: int = 2**31,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self.statements, self.now = seconds, statements, now
        # By token: the moment when all used seconds have come back.
        self.back_at: OrderedDict[str, float] = OrderedDict()

    def left(self, caller: Caller) -> float:
        """Return the seconds that the token has left; below zero, it has used too much."""
        back_at = self.back_at.get(caller.token_id)
        if back_at is None:
            return self.seconds
        return self.seconds - max(back_at - self.now(), 0.0) * self.seconds / MINUTE_S

    def check(self, caller: Caller) -> None:
        """Raise RateLimited where the token has no second left."""
        if not caller.is_limited:
            return
        left = self.left(caller)
        if left <= 0:
            missing = WORTH_WAITING_FOR * self.seconds - left
            message = f"this token has used its {self.seconds:g} seconds of work a minute"
            raise self.refusal(caller, message, missing * MINUTE_S / self.seconds)

    def refusal(self, caller: Caller, message: str, wait_s: float) -> RateLimited:
        """Return the error that refuses a token for some seconds."""
        return RateLimited(message, max(math.ceil(wait_s), 1), self.balance(caller))

    def balance(self, caller: Caller) -> dict[str, Any]:
        """Return the budget of a token, and the rest of it."""
        return {
            "secondsPerMinute": self.seconds,
            "secondsLeft": round(max(self.left(caller), 0.0), 3),
            "statementsAtOnce": self.statements,
        }

    def spend(self, caller: Caller, seconds: float) -> None:
        """Take seconds off what the token has left."""
        if not caller.token_id or self.seconds == math.inf:
            return
        now = self.now()
        back_at = max(self.back_at.get(caller.token_id, now), now)
        self.back_at[caller.token_id] = back_at + seconds * MINUTE_S / self.seconds
        self.back_at.move_to_end(caller.token_id)
        if len(self.back_at) > REMEMBERED:
            self.back_at.popitem(last=False)


@dataclass(frozen=True)
class Waiting:
    """A statement that waits for a place, with the future that is set once it has one."""

    caller: Caller
    turn: asyncio.Future[None]


class Lane:
    """Places for statements that run at once, and the statements that wait for one.

    No token has more places than its budget says, and no practice the last ones. Practices that
    wait take turns, and in a practice its tokens, whatever number of statements each has waiting.
    """

    def __init__(
        self,
        size: int,
        *,
        wait_s: float = 10,
        budgets: Budgets | None = None,
        is_charged: bool = True,
        name: str | None = None,
    ) -> None:
        self.wait_s, self.budgets, self.is_charged = wait_s, budgets or Budgets(), is_charged
        # The name for a monitor. Times in a lane without one are not measured.
        self.name = name
        self.size = self.free = size
        is_shared = size >= SMALLEST_SHARED_LANE
        self.most_a_practice = size - max(size // KEPT_FREE, 1) if is_shared else size
        self.most_waiting_a_token = WAITING_FOR_EACH * self.budgets.statements
        self.of_token, self.of_practice = Counter[str](), Counter[str]()
        self.queues: OrderedDict[str, OrderedDict[str, deque[Waiting]]] = OrderedDict()
        self.waiting = 0

    def place(self, caller: Caller) -> "LanePlace":
        """Return a place of the lane, to be entered with `async with`."""
        return LanePlace(self, caller)

    def take(self, caller: Caller) -> bool:
        """Take a place if the caller may have one now."""
        self.budgets.check(caller)
        if not self.has_place_for(caller):
            return False
        self.occupy(caller)
        return True

    def has_place_for(self, caller: Caller) -> bool:
        if self.free <= 0:
            return False
        if caller.reads_outcome:
            return True
        return (
            not caller.token_id or self.of_token[caller.token_id] < self.budgets.statements
        ) and self.of_practice[caller.practice_id] < self.most_a_practice

    def occupy(self, caller: Caller) -> None:
        self.free -= 1
        self.of_token[caller.token_id] += 1
        self.of_practice[caller.practice_id] += 1

    def leave(self, caller: Caller) -> None:
        """Give a place back, to those who wait first."""
        self.free += 1
        for counter, key in (
            (self.of_token, caller.token_id),
            (self.of_practice, caller.practice_id),
        ):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        if self.waiting:
            self.admit()

    # -- waiting -----------------------------------------------------------------------------------

    async def wait(self, caller: Caller) -> None:
        """Wait for a place and take it.

        DatabaseBusy or RateLimited, where that takes too long or too many wait already.
        """
        if caller.is_limited and self.waiting_of(caller) >= self.most_waiting_a_token:
            raise self.budgets.refusal(caller, "too many requests of this token wait", 1)
        if self.waiting >= MOST_WAITING:
            raise DatabaseBusy("too many statements wait for a connection")
        waiting = Waiting(caller, asyncio.get_running_loop().create_future())
        self.enqueue(waiting)
        try:
            async with asyncio.timeout(self.wait_s):
                await waiting.turn
        except BaseException as error:
            if waiting.turn.done() and not waiting.turn.cancelled():
                self.leave(caller)
            else:
                self.dequeue(waiting)
            if isinstance(error, TimeoutError):
                raise self.too_late(caller) from None
            raise

    def waiting_of(self, caller: Caller) -> int:
        """Return how many statements of the token wait."""
        tokens = self.queues.get(caller.practice_id)
        return len(tokens.get(caller.token_id, ())) if tokens else 0

    def too_late(self, caller: Caller) -> Exception:
        """Return why there was no place in time: the token's own statements, or all others."""
        if caller.is_limited and self.of_token[caller.token_id] >= self.budgets.statements:
            return self.budgets.refusal(caller, "other statements of this token still run", 1)
        return DatabaseBusy("no connection was free in time")

    def enqueue(self, waiting: Waiting) -> None:
        caller = waiting.caller
        tokens = self.queues.setdefault(caller.practice_id, OrderedDict())
        tokens.setdefault(caller.token_id, deque()).append(waiting)
        self.waiting += 1

    def dequeue(self, waiting: Waiting) -> None:
        """Take a statement out of its queue; queues that are empty are forgotten."""
        practice_id, token_id = waiting.caller.practice_id, waiting.caller.token_id
        tokens = self.queues[practice_id]
        tokens[token_id].remove(waiting)
        self.waiting -= 1
        if not tokens[token_id]:
            del tokens[token_id]
        if not tokens:
            del self.queues[practice_id]

    def admit(self) -> None:
        """Give free places to those who wait, as far as they may have one."""
        while self.free > 0 and (waiting := self.next()) is not None:
            caller = waiting.caller
            self.dequeue(waiting)
            # Whoever else waits of this practice, and of this token, comes after all others.
            if tokens := self.queues.get(caller.practice_id):
                self.queues.move_to_end(caller.practice_id)
                if caller.token_id in tokens:
                    tokens.move_to_end(caller.token_id)
            self.occupy(caller)
            waiting.turn.set_result(None)

    def next(self) -> Waiting | None:
        """Return the first statement, by turns, that may have a place now."""
        for tokens in self.queues.values():
            for queue in tokens.values():
                for waiting in queue:
                    # One that was given up leaves the queue itself, a moment later.
                    if not waiting.turn.done():
                        if self.has_place_for(waiting.caller):
                            return waiting
                        break
        return None


class LanePlace:
    """A place of a lane while a statement runs; unless the lane is not charged, the time in it is
    taken off the token's budget."""

    __slots__ = ("began", "caller", "lane", "span")

    def __init__(self, lane: Lane, caller: Caller) -> None:
        self.lane, self.caller = lane, caller

    async def __aenter__(self) -> None:
        if not self.lane.take(self.caller):
            await self.lane.wait(self.caller)
        self.span = NO_SPAN if self.lane.name is None else span("statement", SpanKind.CLIENT)
        self.span.__enter__()
        self.began = self.lane.budgets.now()

    async def __aexit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.span.__exit__(type_, error, where)
        budgets = self.lane.budgets
        # The token didn't cause what it waited for in vain.
        in_vain = type_ is not None and issubclass(type_, TransientError)
        seconds = budgets.now() - self.began
        if self.lane.is_charged and not in_vain:
            budgets.spend(self.caller, seconds)
        if self.lane.name is not None:
            STATEMENT_SECONDS.observe(seconds, self.lane.name)
            note_statement(seconds)
        self.lane.leave(self.caller)
