"""Reads of dashboards on a replica of the database, while its data is recent enough.

The primary is asked first, in one small statement: for the version of the practice's invoices and
payments, and on the way for the token. A replica answers only if it has that version. So a token
that was revoked reads nothing, and no reader sees a version go back.
"""

from collections.abc import Awaitable, Sequence
from typing import Any

from sqlalchemy import Dialect

from models.database.admission import NO_PRACTICE, Budgets, Caller, RateLimited
from models.database.errors import DatabaseUnavailable, StatementTimeout, StatementTooDeep
from models.database.read_pools import Reads
from models.database.replica_lag import ReplicaLag
from models.database.timeouts import Statement
from models.measures import REPLICA_READS

# The version of a practice; and a row if the server is a replica that has a version of it.
LAST_VERSION = "coalesce((SELECT version FROM practice_version WHERE practice_id = $1::uuid), 0)"
VERSION = f"SELECT {LAST_VERSION}"
HAS_VERSION = f"SELECT 1 WHERE pg_is_in_recovery() AND {LAST_VERSION} >= $2::bigint"
# Errors that the primary would answer with too, after as long.
OF_STATEMENT = (StatementTimeout, StatementTooDeep, RateLimited)


class ReplicatedReads:
    """Planned reads of the replica, and of the primary where the replica is not fit for one."""

    def __init__(self, primary: Reads, replica: Reads, lag: ReplicaLag) -> None:
        self.primary, self.replica, self.lag = primary, replica, lag

    @property
    def dialect(self) -> Dialect:
        return self.primary.dialect

    @property
    def budgets(self) -> Budgets:
        return self.primary.budgets

    def row(
        self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE
    ) -> Awaitable[Sequence[Any] | None]:
        """Return the first row of the statement, from the primary: a document is printed by it."""
        return self.primary.row(sql, values, caller)

    async def value(self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE) -> Any:
        if self.may_answer(caller):
            version = await self.primary.value(VERSION, [caller.practice_id], caller)
            found = await self.of_replica(version, (sql, values), caller)
            if found is not None:
                return found[0]
        return await self.primary.value(sql, values, caller)

    async def row_and_value(
        self, first: Statement, second: Statement, caller: Caller = NO_PRACTICE
    ) -> Sequence[Any] | None:
        """Return the first row of a statement, from the primary, and then the value of another."""
        if self.may_answer(caller):
            version = VERSION, [caller.practice_id]
            row = await self.primary.row_and_value(first, version, caller)
            if row is None:
                return None
            found = await self.of_replica(row[-1], second, caller)
            if found is not None:
                return *row[:-1], found[0]
        return await self.primary.row_and_value(first, second, caller)

    def may_answer(self, caller: Caller) -> bool:
        """Return whether the replica may answer the caller, as far as is known before."""
        if not caller.may_lag or caller.reads_outcome:
            return False
        if not self.lag.is_within_bound:
            REPLICA_READS.add("primary", "lag")
            return False
        return True

    async def of_replica(
        self, version: int, statement: Statement, caller: Caller
    ) -> Sequence[Any] | None:
        """Return the statement's value from the replica, in a row; None if it does not answer, or
        lacks this version of the practice."""
        has_version = HAS_VERSION, [caller.practice_id, version]
        try:
            row = await self.replica.row_and_value(has_version, statement, caller)
        except OF_STATEMENT:
            raise
        except Exception as error:
            # Also where it lacks a table that a migration has just made.
            REPLICA_READS.add("primary", "error")
            if isinstance(error, DatabaseUnavailable):
                self.lag.refuse(f"does not answer: {error}")
            return None
        REPLICA_READS.add(*(("replica", "") if row else ("primary", "version")))
        return row[1:] if row else None

    async def close(self) -> None:
        await self.primary.close()
        await self.replica.close()
        await self.lag.close()
