"""Nothing is charged twice or lost, at whichever place a server is killed."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from tests.payments.crash_tests.play import Player, play, player
from tests.payments.crash_tests.scenarios import SCENARIOS, Scenario
from tests.support.process_pool import Nursery
from tests.support.processes import double

pytestmark = [
    pytest.mark.server,
    pytest.mark.campaign,
    pytest.mark.share(48),
    pytest.mark.twins(1),
]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    started = Nursery("tests.payments.crash_tests.crashing_server")
    yield started
    started.close()


@pytest.fixture(scope="module")
async def players(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Player]:
    folder = tmp_path_factory.mktemp("stripe")
    with double(folder) as stripe:
        async with (
            new_database() as url,
            player(url, stripe, folder / "stripe.sqlite", nursery) as ready,
        ):
            yield ready


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_kill_charges_once_and_loses_nothing(players: Player, scenario: Scenario) -> None:
    await play(players, scenario)
