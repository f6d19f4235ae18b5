"""The last use of tokens, and hashes with a new key: noted with each request, and written in
batches.
"""

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

# A token's text is only known while it is used. Another process may have replaced the hash.
REPLACED = (
    update(Token)
    .where(
        Token.practice_id == bindparam("whose"),
        Token.id == bindparam("token"),
        Token.hash == bindparam("old"),
    )
    .values(hash=bindparam("new"))
)


class TokenUsage:
    """The uses of tokens, and the new hashes, that are not written yet."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.latest: dict[tuple[str, str], dt.datetime] = {}
        self.hashes: dict[tuple[str, str], tuple[str, str]] = {}
        self.writing = asyncio.Lock()

    def note(self, practice_id: str, token_id: str, now: dt.datetime) -> None:
        self.latest[practice_id, token_id] = now

    def replace_hash(self, practice_id: str, token_id: str, old: str, new: str) -> None:
        """Note that a token was found by the hash of an older key."""
        self.hashes[practice_id, token_id] = old, new

    async def flush(self) -> None:
        """Write all noted uses. Uses that can't be written now are kept."""
        async with self.writing:
            await self.write()

    async def write(self) -> None:
        """Write each token once."""
        latest, self.latest = self.latest, {}
        hashes, self.hashes = self.hashes, {}
        # The order is fixed, so that no two processes wait for each other.
        rows = [
            {"whose": whose, "token": token, "at": at}
            for (whose, token), at in sorted(latest.items())
        ]
        replaced = [
            {"whose": whose, "token": token, "old": old, "new": new}
            for (whose, token), (old, new) in sorted(hashes.items())
        ]
        try:
            if rows:
                async with self.engine.begin() as conn:
                    await conn.execute(USED, rows)
                    if replaced:
                        await conn.execute(REPLACED, replaced)
        except BaseException:
            self.latest = latest | self.latest
            self.hashes = hashes | self.hashes
            raise
