"""Fixtures of all tests.

They are a plugin that `tests/conftest.py` registers in processes that run tests. The process that
only distributes tests does without, since their modules take seconds to import.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.conftest import SEED, do_without
from tests.support import chromium as chromium_program
from tests.support import demo_server as demonstration
from tests.support import postgres
from tests.support.comparison import Comparison, compared
from tests.support.demo_server import Demo
from tests.support.demo_snapshot import Snapshot, taken
from tests.support.patience import patient
from tests.support.practices import made
from tests.support.process_pool import Nursery
from tests.support.shared_plans import shared_plans
from tests.support.shared_work import shared_work
from tests.support.stripe_double import Double


@pytest.fixture(scope="session", autouse=True)
def _background_work_by_hand() -> Iterator[None]:
    """Disable the regular background work of servers in the tests' process.

    Otherwise it would run at times of its own, in the middle of a comparison. Tests call it where
    they need it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("billing.payments.background.INBOX_EVERY_S", 1e6)
        patch.setattr("billing.payments.reconcile.EVERY_S", 1e6)
        yield


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """Let the tests' servers wait as long as a busy machine takes."""
    with patient():
        yield


@pytest.fixture(scope="session", autouse=True)
def _shared_work() -> Iterator[None]:
    """Let the tests' databases share work."""
    with shared_work(), shared_plans():
        yield


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URL of a PostgreSQL server, for `tests.support.postgres.database`."""
    with postgres.server(fast=True) as url:
        if url is None:
            do_without(request.config, "PostgreSQL", postgres.HOW_TO_GET)
        yield url


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], AbstractAsyncContextManager[str]]:
    """Return a function that makes an empty database and yields its URL, for each kind
    of database.
    """
    if request.param == "sqlite":
        return lambda: sqlite_file(tmp_path_factory.mktemp("database") / "portal.db")
    server_url: str = request.getfixturevalue("postgres_url")
    return lambda: postgres.database(server_url)


@asynccontextmanager
async def sqlite_file(path: Path) -> AsyncIterator[str]:
    yield f"sqlite:///{path}"


@pytest.fixture
def double() -> Iterator[Double]:
    """Return the double of Stripe, with an empty store."""
    made = Double()
    yield made
    made.store.close()


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> str:
    """Return the path of chromium's executable."""
    found = chromium_program.find()
    if found is None:
        do_without(request.config, "chromium", chromium_program.HOW_TO_GET)
    return found


@pytest.fixture(scope="session")
def started_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Snapshot]]:
    """Yield a real `portal demo`, on a port of its own, and a snapshot of its first rows."""
    folder = tmp_path_factory.mktemp("demo")
    with demonstration.served(folder) as started:
        yield started, taken(started, folder / "first rows")


@pytest.fixture(scope="session")
def demo(started_demo: tuple[Demo, Snapshot]) -> Demo:
    return started_demo[0]


@pytest.fixture(scope="session")
def snapshot(started_demo: tuple[Demo, Snapshot]) -> Snapshot:
    """Return the demo's first rows."""
    return started_demo[1]


@pytest.fixture(scope="session")
def forked() -> Iterator[demonstration.Run]:
    """Return a function that runs `portal` in a fork of a warmed process, in a third of
    the time.
    """
    nursery = Nursery("tests.support.portal_pool")

    @contextmanager
    def run(
        command: Sequence[str],
        folder: Path,
        printed: Path,
        environment: Mapping[str, str] = demonstration.NOTHING,
    ) -> Iterator[Callable[[], bool]]:
        child = nursery.born(
            command=[*command],
            folder=str(folder),
            printed=str(printed),
            environment=dict(environment),
        )
        try:
            yield lambda: nursery.is_running(child)
        finally:
            if nursery.is_running(child):
                os.kill(child, signal.SIGTERM)
            nursery.reaped(child)

    yield run
    nursery.close()


@pytest.fixture(scope="session")
async def comparison(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> AsyncIterator[Comparison]:
    """Yield the comparison over small random practices in a database."""
    async with new_database() as url, compared(url, made(SEED)) as comparison:
        yield comparison
