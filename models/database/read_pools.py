"""Planned reads of everybody: people's, and dashboards' on connections of their own."""

from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Dialect

from models.database.admission import NO_PRACTICE, Budgets, Caller, Lane
from models.database.timeouts import Statement

if TYPE_CHECKING:
    from models.database.replica_lag import ReplicaLag


class Reads(Protocol):
    """Connections for planned reads, of which each is run for a caller."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def budgets(self) -> Budgets: ...

    def row(
        self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE
    ) -> Awaitable[Sequence[Any] | None]:
        """Return the first row of the statement, if there is one."""
        ...

    def value(
        self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE
    ) -> Awaitable[Any]:
        """Return the first value of the statement's first row."""
        ...

    def row_and_value(
        self, first: Statement, second: Statement, caller: Caller = NO_PRACTICE
    ) -> Awaitable[Sequence[Any] | None]:
        """Return the first row of a statement, if there is one, and then the value of another."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class ReadLimits:
    """How many statements run at once, and how long each may take or wait.

    `token_statements` and `token_seconds` are the budget of a token: how many of its statements
    run at once, and for how many seconds of a minute. `replica_lag_s`: how far behind a replica
    may be.
    """

    connections: int = 10
    dashboard_connections: int = 4
    timeout_s: float = 10
    dashboard_timeout_s: float = 3
    wait_s: float = 3
    replica_lag_s: float = 5
    token_statements: int = 2
    token_seconds: float = 20


class Lanes:
    """Planned reads; dashboards have connections of their own, so that nobody waits for them."""

    def __init__(
        self,
        people: Reads,
        dashboards: Reads,
        budgets: Budgets,
        lanes: Sequence[Lane] = (),
        lag: "ReplicaLag | None" = None,
    ) -> None:
        self.people, self.dashboards, self.budgets = people, dashboards, budgets
        # The lag of the replica, if there is one.
        self.lanes, self.lag = lanes, lag
        self.dialect = people.dialect

    def of(self, caller: Caller) -> Reads:
        return self.dashboards if caller.is_dashboard else self.people

    def row(
        self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE
    ) -> Awaitable[Sequence[Any] | None]:
        return self.of(caller).row(sql, values, caller)

    def value(
        self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE
    ) -> Awaitable[Any]:
        return self.of(caller).value(sql, values, caller)

    def row_and_value(
        self, first: Statement, second: Statement, caller: Caller = NO_PRACTICE
    ) -> Awaitable[Sequence[Any] | None]:
        return self.of(caller).row_and_value(first, second, caller)

    def watched(self) -> AbstractAsyncContextManager[None]:
        """Return the context in which the lag of the replica is measured."""
        return self.lag.measured() if self.lag else nullcontext()

    async def close(self) -> None:
        await self.people.close()
        await self.dashboards.close()
