"""Settings of PostgreSQL sessions: what they are, how they are set, and whether they hold.

They are set after a connection was opened: poolers refuse or silently drop settings that a
connection is opened with.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from models.database.waits import Waits

READ_BACK = "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"


class UnfitDatabase(Exception):
    """A database, or a pooler before it, that cannot be served from; the text says why."""


@dataclass(frozen=True)
class Session:
    """Settings of a session."""

    settings: Mapping[str, str]

    @classmethod
    def of_reads(cls, timeout_s: float) -> "Session":
        """Return the settings for planned reads."""
        return cls(
            {
                "statement_timeout": milliseconds(timeout_s),
                "default_transaction_read_only": "on",
                "DateStyle": "ISO, MDY",
                "TimeZone": "UTC",
                # Compiling machine code for a statement takes longer than running it once.
                "jit": "off",
            }
        )

    @classmethod
    def of_changes(cls, waits: Waits) -> "Session":
        """Return the settings for what writes."""
        return cls(
            {
                # Each statement sees what is committed, and locks wait: the code is written so.
                "default_transaction_isolation": "read committed",
                "lock_timeout": milliseconds(waits.lock_s),
                "statement_timeout": milliseconds(waits.statement_s),
                "idle_in_transaction_session_timeout": milliseconds(waits.idle_s),
            }
        )

    async def set_up(self, conn: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Set the settings and read them back; UnfitDatabase, where they do not hold."""
        await conn.execute(
            "; ".join(f"SET SESSION {name} = '{value}'" for name, value in self.settings.items())
        )
        rows = await conn.fetch(READ_BACK, list(self.settings))
        there = {row["name"]: row["setting"] for row in rows}
        lost = [name for name, value in self.settings.items() if there.get(name) != value]
        if lost:
            raise UnfitDatabase(
                f"The database's sessions do not keep what is set: {', '.join(lost)}."
                " A pooler between may drop it; `docs/databases.md` says which poolers will do."
            )


def milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
