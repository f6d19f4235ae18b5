"""What signing in needs at hand: the database that is written, the key, the clock and the post."""

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from identity import tokens
from identity.post import Post


@dataclass(frozen=True)
class Door:
    """`now` is the clock, in UTC. Without post nobody gets a mail.

    `lasts`: for how long a page may sign in with a mail that it asked for. `asked` tells the worker
    of this process of a new request.
    """

    engine: AsyncEngine
    key: str
    now: Callable[[], dt.datetime]
    post: Post | None = None
    lasts: dt.timedelta = dt.timedelta(minutes=30)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def hashed(self, text: str) -> str:
        """What the database keeps of a secret or an address, to know it again."""
        return tokens.hashed(text, self.key)
