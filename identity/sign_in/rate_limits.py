"""Rate limits that all serving processes share: a burst, and then one each interval.

A counter is one row with the time until which the counter is filled (the "generic cell rate
algorithm"). One statement checks and counts, so concurrent requests never get the same slot.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import SignInLimit
from models.upsert import insert_into

# The names of the limits whose subject is an address.
MAILS, CODES = "mail", "code"
MILLISECOND = dt.timedelta(milliseconds=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Limit:
    """A limit of `burst` at once, and one more each `every`. Without a burst nothing is refused."""

    name: str
    every: dt.timedelta
    burst: int | None = None

    async def turn(self, conn: AsyncConnection, key_hash: str, now: dt.datetime) -> dt.datetime:
        """Count one use of a limit without a burst. Return its due time in the queue."""
        until_ms = await self.spent(conn, key_hash, now)
        assert until_ms is not None
        return from_milliseconds(until_ms) - self.every

    async def spent(self, conn: AsyncConnection, key_hash: str, now: dt.datetime) -> int | None:
        """Count one use if the limit allows it. Return the time until which the counter is then
        filled.
        """
        now_ms, every_ms = to_milliseconds(now), self.every // MILLISECOND
        counter = SignInLimit.spent_until_ms
        first: Any = insert_into(conn, SignInLimit).values(
            name=self.name, key_hash=key_hash, spent_until_ms=now_ms + every_ms
        )
        next_: Any = first.on_conflict_do_update(
            index_elements=["name", "key_hash"],
            set_={"spent_until_ms": case((counter > now_ms, counter), else_=now_ms) + every_ms},
            where=None if self.burst is None else counter <= now_ms + self.slack_ms,
        )
        found: int | None = await conn.scalar(next_.returning(counter))
        return found

    def is_last(self, until_ms: int, now: dt.datetime) -> bool:
        """Return whether a counter that is filled until a time has no use left."""
        return until_ms > to_milliseconds(now) + self.slack_ms

    async def next_at(self, conn: AsyncConnection, key_hash: str) -> dt.datetime | None:
        """Return the time of the next allowed use, or None if nothing was counted yet."""
        spent = select(SignInLimit.spent_until_ms).where(*self.of(key_hash))
        until_ms = await conn.scalar(spent)
        return None if until_ms is None else from_milliseconds(until_ms - self.slack_ms)

    async def give_back(self, conn: AsyncConnection, key_hash: str) -> None:
        """Take back one use."""
        less = SignInLimit.spent_until_ms - self.every // MILLISECOND
        await conn.execute(
            update(SignInLimit).where(*self.of(key_hash)).values(spent_until_ms=less)
        )

    async def reset(self, conn: AsyncConnection, key_hash: str) -> None:
        """Reset the counter."""
        await conn.execute(delete(SignInLimit).where(*self.of(key_hash)))

    @property
    def slack_ms(self) -> int:
        """Return how far ahead of now a counter may be filled before one more use."""
        assert self.burst is not None
        return (self.burst - 1) * (self.every // MILLISECOND)

    def of(self, key_hash: str) -> tuple[Any, Any]:
        return SignInLimit.name == self.name, SignInLimit.key_hash == key_hash


async def counted_hash(conn: AsyncConnection, hashes: Sequence[str], now: dt.datetime) -> str:
    """Return the hash under which an address is counted: the newest key's, or an older key's
    while it has a counter that isn't empty. So a new key resets no counter.
    """
    newest, *older = hashes
    if not older:
        return newest
    counted = SignInLimit.key_hash.in_(older), SignInLimit.spent_until_ms > to_milliseconds(now)
    names = SignInLimit.name.in_([MAILS, CODES])
    found = await conn.scalar(select(SignInLimit.key_hash).where(names, *counted).limit(1))
    return found or newest


def to_milliseconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def from_milliseconds(milliseconds: int) -> dt.datetime:
    return EPOCH + milliseconds * MILLISECOND


async def delete_empty(conn: AsyncConnection, now: dt.datetime) -> None:
    """Remove counters that are empty."""
    await conn.execute(
        delete(SignInLimit).where(SignInLimit.spent_until_ms <= to_milliseconds(now))
    )
