"""Steps of background tasks: waiting for an event, and work whose failure ends no task."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from models.database import TransientError

log = logging.getLogger("portal.payments")


async def happens(event: asyncio.Event, within_s: float) -> bool:
    """Wait for an event, and return whether it happened in time.

    Not by asyncio.wait_for: in Python 3.11 that swallows a cancellation which comes at the same
    moment as the event, and the task would go on for ever.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            return await event.wait()
    return False


async def surely(errand: Callable[[], Awaitable[int]]) -> None:
    """Run an errand; log a failure, and leave the rest to the next run."""
    try:
        await errand()
    except TransientError as error:
        log.warning("an errand waits for the database: %s", error)
    except Exception:
        log.exception("an errand failed")
