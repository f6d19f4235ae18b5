"""The practice that a transaction is confined to.

PostgreSQL shows a transaction the rows of the practice that it names in a setting, and no others
(`models/row_security.py`). The setting ends with the transaction.

An engine that is confined names the practice of its context, and begins no transaction without one,
on SQLite either. All other engines name every practice.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

SETTING = "portal.practice"
EVERY_PRACTICE = "*"

# A statement and its parameters.
Naming = tuple[str, tuple[str, ...]]

practice_of_context: ContextVar[str] = ContextVar("practice_of_context")


@contextmanager
def within_practice(practice_id: str) -> Iterator[None]:
    """Confine the transactions that begin in this context to a practice."""
    token = practice_of_context.set(practice_id)
    try:
        yield
    finally:
        practice_of_context.reset(token)


@asynccontextmanager
async def every_practice(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give a transaction that has rows of every practice, whatever its engine is confined to."""
    async with engine.connect() as conn:
        with within_practice(EVERY_PRACTICE):
            await conn.begin()
        yield conn
        await conn.commit()


def practice() -> str:
    """Return the practice that a transaction names; AssertionError, where none is known."""
    found = practice_of_context.get(None)
    assert found is not None, "a transaction of a confined engine begins without a practice"
    return found


def setting_locally(settings: Mapping[str, str]) -> Naming:
    """Return the one statement that sets the settings until the transaction ends."""
    calls = (f"set_config(${2 * at + 1}, ${2 * at + 2}, true)" for at in range(len(settings)))
    return f"SELECT {', '.join(calls)}", tuple(part for pair in settings.items() for part in pair)
