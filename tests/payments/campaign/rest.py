"""The end of a campaign: no more faults, and advancing clocks."""

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.payments.campaign.servers import Servers

# Seconds. Every wait ends with its condition, so a slow machine does not change the verdict.
WITHIN_S, LOOKS_EVERY_S = 180, 0.3
# Seconds in which a started server takes up its background work.
BEGINS_WITHIN_S = 2.0
HOUR_S, DAY_S = 3600, 86_400
# Steps of the clocks: twice past a daily comparison, and once more after the operators' last
# commands.
STEPS = (0.0, HOUR_S, DAY_S + 2 * HOUR_S, 2 * DAY_S + 4 * HOUR_S)
LAST = (3 * DAY_S + 6 * HOUR_S,)
ACTIVE = (
    "SELECT (SELECT count(*) FROM payment WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELED'))"
    " + (SELECT count(*) FROM stripe_event WHERE handled_at IS NULL)"
    " + (SELECT count(*) FROM detachment WHERE done_at IS NULL)"
    # A comparison that was cut short keeps its lease, which moving the clocks does not end.
    " + (SELECT count(*) FROM practice WHERE leased_until > CURRENT_TIMESTAMP)"
)
COMPARED = "SELECT min(compared_at) FROM practice"


async def until(what: Callable[[], Awaitable[bool]]) -> bool:
    """Wait for a condition, and return whether it came true in time."""
    ends = time.monotonic() + WITHIN_S
    while time.monotonic() < ends:
        if await what():
            return True
        await asyncio.sleep(LOOKS_EVERY_S)
    return False


async def come_to_rest(
    servers: Servers,
    engine: AsyncEngine,
    move_clock: Callable[[float], Awaitable[None]],
    deliver: Callable[[], Awaitable[None]],
    steps: Sequence[float],
) -> None:
    """Advance both clocks step by step, and wait each time until no work is left.

    The last days are for the daily comparison, which alone finds changes without an event.
    """

    async def is_quiet() -> bool:
        return bool(await scalar(engine, ACTIVE) == 0)

    async def is_compared() -> bool:
        compared = await scalar(engine, COMPARED)
        began = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=servers.later_s - HOUR_S)
        return compared is not None and moment(compared) > began

    for later_s in steps:
        await servers.stop()
        await move_clock(later_s)
        await servers.start(danger=False, later_s=later_s)
        await deliver()
        await asyncio.sleep(BEGINS_WITHIN_S)
        await until(is_quiet)
        if later_s >= DAY_S:
            await until(is_compared)
            await deliver()
            await until(is_quiet)


async def scalar(engine: AsyncEngine, statement: str) -> Any:
    async with engine.connect() as conn:
        return await conn.scalar(text(statement))


def moment(value: object) -> dt.datetime:
    """Return a time from the database, which SQLite returns as text."""
    found = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
