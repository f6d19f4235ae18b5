"""Steps of background tasks: a wait for an event, and a run whose failure doesn't end its task."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from models.database import TransientError

# The pauses before another run of a task that met a transient error, and before another try to
# write a change that has already happened.
AGAIN_AFTER_S, WRITTEN_AGAIN_AFTER_S = 5.0, 1.0

log = logging.getLogger("portal.payments")


async def wait_for_event(event: asyncio.Event, within_s: float) -> bool:
    """Wait for an event, and return whether it happened in time.

    asyncio.wait_for is not used: in Python 3.11 it swallows a cancellation that arrives together
    with the event, and the task would run forever.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            return await event.wait()
    return False


async def repeat_until_done(errand: Callable[[], Awaitable[object]]) -> None:
    """Run a task, and repeat it as long as the database has transient errors.

    Any other failure is logged, and the rest of the work is left to the next run.
    """
    times = 0
    while True:
        try:
            await errand()
            return
        except TransientError as error:
            times += 1
            level = logging.WARNING if times == 1 else logging.DEBUG
            log.log(level, "a background task waits for the database: %s", error)
        except Exception:
            log.exception("a background task failed")
            return
        await asyncio.sleep(AGAIN_AFTER_S)


async def retry_until_written(change: Callable[[], Awaitable[object]]) -> None:
    """Write a change that has already happened, and repeat that while the database has transient
    errors.
    """
    while True:
        try:
            await change()
            return
        except TransientError:
            await asyncio.sleep(WRITTEN_AGAIN_AFTER_S)
