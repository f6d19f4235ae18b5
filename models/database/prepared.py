"""Statements prepared on one PostgreSQL connection, each under a name made of its text.

Every answer carries the hash of its statement. A pooler may have put another statement under a name
of the session. The answer of such a statement is refused, never passed on.

Every statement names its practice by its last parameter, and reads only rows of that practice
(`models/row_security.py`). This takes no round trip and leaves nothing in the session.
"""

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import asyncpg

from models.database.confinement import SETTING
from models.database.timeouts import PREPARED_A_CONNECTION

PARAMETER = re.compile(r"\$(\d+)")
# A name has at most 63 bytes; 32 hexadecimal digits are 128 bits.
HASH_LENGTH = 32
# How long the database may take to end a statement that nobody waits for any more.
ENDS_WITHIN_S = 2.0


class ForeignAnswer(Exception):
    """An answer that belongs to another statement than the one that was run."""


# Errors of a session that lost the statements prepared on it, or has outdated plans of them. Such
# a session may have lost its settings too (DISCARD ALL): it is closed, and the read is repeated on
# a new connection.
STALE = (
    ForeignAnswer,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.DuplicatePreparedStatementError,
    # Parameters or columns of another statement, noticed by the server or by the driver.
    asyncpg.ProtocolViolationError,
    asyncpg.InternalClientError,
    BufferError,
    UnicodeDecodeError,
)


@dataclass(frozen=True)
class Signed:
    """A statement that names its practice, and whose answer proves which statement it answers."""

    hash: str
    # Returns the hash, then TRUE and the row of the statement. Where the statement has no row, all
    # but the hash is NULL.
    sql: str

    @classmethod
    def of(cls, sql: str, parameters: int) -> "Signed":
        """Return a statement of so many parameters, with one more for the practice.

        The practice is named first: an outer join on no equality is a loop from left to right, and
        subqueries that stand by themselves are run when their value is first needed.
        """
        digest = hashlib.sha256(sql.encode()).hexdigest()[:HASH_LENGTH]
        naming = f"SELECT set_config('{SETTING}', ${parameters + 1}, true) AS practice"
        text = (
            f"SELECT '{digest}', answer.* FROM ({naming}) AS named LEFT JOIN LATERAL"  # noqa: S608
            f" (SELECT TRUE, statement.* FROM ({sql}) AS statement"
            " WHERE named.practice IS NOT NULL) AS answer ON TRUE"
        )
        return cls(digest, text)

    @property
    def name(self) -> str:
        return f"read_{self.hash}"

    def row(self, answer: Sequence[Any] | None) -> Sequence[Any] | None:
        """Return the statement's row out of an answer; ForeignAnswer, where it is another's."""
        if answer is None or answer[0] != self.hash:
            raise ForeignAnswer
        return tuple(answer)[2:] if answer[1] else None


class Prepared:
    """A connection and the statements prepared on it, the least recently used forgotten first.

    asyncpg's own cache leaves out statements of over 15 kB, and ours are often longer.
    """

    def __init__(
        self, connection: "asyncpg.Connection[asyncpg.Record]", begin: str | None = None
    ) -> None:
        """`begin`: what each statement's transaction begins with, where it needs one."""
        self.connection, self.begin = connection, begin
        self.statements: OrderedDict[str, tuple[Signed, Any]] = OrderedDict()

    def row(
        self, sql: str, values: Sequence[Any], practice_id: str
    ) -> Awaitable[Sequence[Any] | None]:
        """Run a statement within a practice and return its first row, if there is one."""
        run = self.run if self.begin is None else self.run_in_transaction
        return run(sql, values, practice_id)

    async def run_in_transaction(
        self, sql: str, values: Sequence[Any], practice_id: str
    ) -> Sequence[Any] | None:
        assert self.begin is not None
        try:
            await self.connection.execute(self.begin)
            row = await self.run(sql, values, practice_id)
        except Exception as error:
            # After a timeout the statement may still run, and the connection is closed.
            if not isinstance(error, TimeoutError) and not self.connection.is_closed():
                # A transaction that failed is rolled back by it.
                await self.connection.execute("COMMIT")
            raise
        await self.connection.execute("COMMIT")
        return row

    async def run(self, sql: str, values: Sequence[Any], practice_id: str) -> Sequence[Any] | None:
        signed, statement = self.statements.get(sql) or await self.prepare(sql, len(values))
        self.statements.move_to_end(sql)
        return signed.row(await statement.fetchrow(*values, practice_id))

    async def end_statement(self, sql: str) -> None:
        """Wait until the database has ended a statement that was cancelled, and its transaction.

        A cancellation that arrives before its statement has begun is lost. So the connection is
        closed where the end takes long, and the database ends the statement. It is closed too where
        the statement may not be prepared.
        """
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                # The driver has sent the cancellation; this is answered after it took effect.
                await self.connection.execute("SELECT 1" if self.begin is None else "ROLLBACK")
        except Exception:
            self.connection.terminate()
        if sql not in self.statements:
            self.connection.terminate()

    async def prepare(self, sql: str, parameters: int) -> tuple[Signed, Any]:
        signed = Signed.of(sql, parameters)
        statement = await self.connection.prepare(signed.sql, name=signed.name)
        self.statements[sql] = signed, statement
        if len(self.statements) > PREPARED_A_CONNECTION:
            self.statements.popitem(last=False)
        return signed, statement


@lru_cache(2 * PREPARED_A_CONNECTION)
def joined(first: str, second: str, taken: int) -> str:
    """Return a statement that has the row of one statement with the value of another.

    The other takes `taken` parameters, and is run only where there is a row.
    """
    moved = PARAMETER.sub(lambda match: f"${int(match[1]) + taken}", first)
    return f"SELECT first.*, ({second}) FROM ({moved}) AS first"  # noqa: S608 - both are compiled
