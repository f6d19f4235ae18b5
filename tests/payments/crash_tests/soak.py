"""As many kills as fit into a time, of random scenarios, on one database after the other."""

import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.payments.crash_tests.play import play, player
from tests.payments.crash_tests.scenarios import by_chance
from tests.support import postgres
from tests.support.process_pool import Nursery
from tests.support.processes import double

# The number of scenarios after which a new database is made.
OF_A_DATABASE = 100


async def soak(server_url: str, seconds: float, seed: int) -> int:
    """Play scenarios until the time is over, and return their number; raise the first failure."""
    until, played, nursery = (
        time.monotonic() + seconds,
        0,
        Nursery("tests.payments.crash_tests.crashing_server"),
    )
    scenarios = by_chance(seed)
    try:
        while time.monotonic() < until:
            is_sqlite = played // OF_A_DATABASE % 2 == 0
            with tempfile.TemporaryDirectory() as folder, double(Path(folder)) as stripe:
                file = Path(folder) / "stripe.sqlite"
                async with (
                    database(server_url, Path(folder), is_sqlite=is_sqlite) as url,
                    player(url, stripe, file, nursery) as ready,
                ):
                    for _ in range(OF_A_DATABASE):
                        if time.monotonic() > until:
                            break
                        scenario = next(scenarios)
                        try:
                            await play(ready, scenario)
                        except AssertionError as error:
                            raise AssertionError(f"{scenario} on {url}: {error}") from error
                        played += 1
    finally:
        nursery.close()
    return played


@asynccontextmanager
async def database(server_url: str, folder: Path, *, is_sqlite: bool) -> AsyncIterator[str]:
    if is_sqlite:
        yield f"sqlite:///{folder / 'portal.sqlite'}"
        return
    async with postgres.database(server_url) as url:
        yield url


def bound(played: int) -> str:
    """Return the upper bound at 95 % of the share of failures, by the rule of three."""
    return f"{3 / played:.2%}" if played else "100%"
