"""Settings of PostgreSQL sessions: what they are, how they are set, and whether they hold.

They are set after a connection was opened: poolers refuse or silently drop settings that a
connection is opened with. Where a pooler lends a server's session for a transaction only, they are
set within each transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from models.database.confinement import EVERY_PRACTICE, SETTING
from models.database.errors import DatabaseUnavailable
from models.database.timeouts import GONE_AFTER_S, READ_LOCK_S, Waits

# The view has plain numbers where SHOW has units, and none of the settings that are our own.
READ_BACK = """
SELECT name, coalesce(setting, current_setting(name, true)) AS setting
FROM unnest($1::text[]) AS name LEFT JOIN pg_settings USING (name)
"""


class UnfitDatabase(DatabaseUnavailable):
    """A database, or a pooler before it, that cannot be served from; the text says why.

    A server does not start with one. Where a pooler is changed later, requests are refused.
    """


@dataclass(frozen=True)
class SessionSettings:
    """Settings of a session, or of each of its transactions."""

    settings: Mapping[str, str]
    read_only: bool

    @classmethod
    def of_reads(cls, timeout_s: float) -> "SessionSettings":
        """Return the settings for planned reads."""
        settings = {
            "statement_timeout": milliseconds(timeout_s),
            "lock_timeout": milliseconds(READ_LOCK_S),
            "DateStyle": "ISO, MDY",
            "TimeZone": "UTC",
            # Compiling machine code for a statement takes longer than running it once.
            "jit": "off",
            # A statement ends where its connection was closed, since a cancellation may be lost.
            "client_connection_check_interval": milliseconds(GONE_AFTER_S),
        }
        return cls(settings, read_only=True)

    @classmethod
    def of_changes(cls, waits: Waits, *, confined: bool = False) -> "SessionSettings":
        """Return the settings for what writes; `confined`: each transaction names its practice."""
        settings = {
            "lock_timeout": milliseconds(waits.lock_s),
            "statement_timeout": milliseconds(waits.statement_s),
            "idle_in_transaction_session_timeout": milliseconds(waits.idle_s),
        }
        of_all = {} if confined else {SETTING: EVERY_PRACTICE}
        return cls(settings | of_all, read_only=False)

    @property
    def begin(self) -> str:
        """Return what begins a transaction with the settings: statements for one round trip."""
        mode = "READ ONLY" if self.read_only else "READ WRITE"
        return f"BEGIN ISOLATION LEVEL READ COMMITTED {mode}; {setting('LOCAL', self.settings)}"

    async def set_up(self, conn: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Set the settings for the session; UnfitDatabase, where they do not hold."""
        default = {"default_transaction_read_only": "on"} if self.read_only else {}
        settings = {**self.settings, **default}
        await conn.execute(setting("SESSION", settings))
        await verify_settings(conn, settings)

    async def try_out(self, conn: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Set the settings within a transaction; UnfitDatabase, where they do not hold."""
        mode = {"transaction_read_only": "on" if self.read_only else "off"}
        await conn.execute(self.begin)
        await verify_settings(conn, {**self.settings, **mode})
        await conn.execute("COMMIT")


def setting(scope: str, settings: Mapping[str, str]) -> str:
    return "; ".join(f"SET {scope} {name} = '{value}'" for name, value in settings.items())


async def verify_settings(
    conn: "asyncpg.Connection[asyncpg.Record]", settings: Mapping[str, str]
) -> None:
    """Read settings back; UnfitDatabase, where they do not hold."""
    rows = await conn.fetch(READ_BACK, list(settings))
    there = {row["name"]: row["setting"] for row in rows}
    if lost := [name for name, value in settings.items() if there.get(name) != value]:
        raise UnfitDatabase(
            f"The database's sessions do not keep these settings: {', '.join(lost)}. A pooler"
            " between may drop them; docs/databases.md says which poolers will do."
        )


def milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
