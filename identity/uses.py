"""When tokens were last used: heard of with each request, written for many at a time."""

import asyncio
import datetime as dt

from sqlalchemy import bindparam, or_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from models import Token

USED = (
    update(Token)
    .where(
        Token.practice_id == bindparam("whose"),
        Token.id == bindparam("token"),
        # Another process may have written a later use.
        or_(Token.last_used_at.is_(None), Token.last_used_at < bindparam("at")),
    )
    .values(last_used_at=bindparam("at"))
)


class Uses:
    """The latest use of each token since it was last written."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.latest: dict[tuple[str, str], dt.datetime] = {}
        self.writing = asyncio.Lock()

    def note(self, practice_id: str, token_id: str, now: dt.datetime) -> None:
        self.latest[practice_id, token_id] = now

    async def flush(self) -> None:
        """Writes what is known, also what is being written meanwhile; what can't be written now is
        kept."""
        async with self.writing:
            await self.write()

    async def write(self) -> None:
        """Each token once."""
        latest, self.latest = self.latest, {}
        # In one order, so that no two processes wait for each other.
        rows = [
            {"whose": whose, "token": token, "at": at}
            for (whose, token), at in sorted(latest.items())
        ]
        try:
            if rows:
                async with self.engine.begin() as connection:
                    await connection.execute(USED, rows)
        except BaseException:
            self.latest = latest | self.latest
            raise
