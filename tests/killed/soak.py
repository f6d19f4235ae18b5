"""As many kills as fit, of scenarios by chance, on one database after the other."""

import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests import postgres
from tests.killed.play import play, player
from tests.killed.scenarios import by_chance
from tests.nursery import Nursery
from tests.processes import double

# A database that has seen so many scenarios is left for a new one.
OF_A_DATABASE = 100


async def soak(server_url: str, seconds: float, seed: int) -> int:
    """How many scenarios were played until the time was over. The first that fails is raised."""
    until, played, nursery = time.monotonic() + seconds, 0, Nursery("tests.killed.nursery")
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
    """The rule of three: what nothing found says of how often something may be, at 95 %."""
    return f"{3 / played:.2%}" if played else "100%"
