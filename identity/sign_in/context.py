"""The context of signing in: the database for writes, the keys, the clock and the mail service."""

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from identity.sign_in.smtp import Post
from identity.token_keys import TokenKeys


@dataclass(frozen=True)
class SignInContext:
    """The context of signing in. `now` is the clock, in UTC. Without `post` no mail is sent.

    `lasts` is the time for which a page may sign in with a requested mail. `asked` wakes the worker
    of this process for a new request.
    """

    engine: AsyncEngine
    keys: TokenKeys
    now: Callable[[], dt.datetime]
    post: Post | None = None
    lasts: dt.timedelta = dt.timedelta(minutes=30)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def hashed(self, text: str) -> str:
        """Return the keyed hash under which the database stores a new secret or address."""
        return self.keys.hashed(text)
