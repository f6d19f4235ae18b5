"""Fixtures and hooks of all tests."""

import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from execution.garbage_collection import collect_rarely
from tests.support import chromium as chromium_program
from tests.support import demo_server as demonstration
from tests.support import postgres, shares
from tests.support.comparison import Comparison, compared
from tests.support.demo_server import Demo
from tests.support.demo_snapshot import Snapshot, taken
from tests.support.patience import patient
from tests.support.practices import made
from tests.support.process_pool import Nursery
from tests.support.shared_plans import shared_plans
from tests.support.shared_work import shared_work
from tests.support.stripe_double import Double

# The seed of random practices and operations; a soak sets another.
SEED = int(os.environ.get("PRACTICES_SEED", "1"))
MISSING = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="run the part of `make test`")
    parser.addoption("--rest", action="store_true", help="run the part of `make test-rest`")


def pytest_configure(config: pytest.Config) -> None:
    shares.set_quick(config.option.quick or config.option.rest)
    collect_rarely()


def pytest_collection_finish() -> None:
    """Exempt what was imported and collected from garbage collection, as a server does."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> shares.ByFileAndDatabase:
    return shares.ByFileAndDatabase(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark every test on PostgreSQL as one that needs a server."""
    callspec = getattr(item, "callspec", None)
    on_postgres = callspec is not None and callspec.params.get("new_database") == "postgresql"
    if on_postgres or "postgres_url" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.server)


# After `-k` and `-m`: a quick run, or the rest, is a part of what they select.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this run does not take, and run campaigns first, so that no process is left
    with the longest module at the end.
    """
    if config.option.quick or config.option.rest:
        taken, left = shares.divided(items)
        if config.option.rest:
            shorter, longer = shares.rest(left)
            taken, left = shorter, [*taken, *longer]
        items[:] = taken
        config.hook.pytest_deselected(items=left)
    items.sort(key=lambda item: item.get_closest_marker("campaign") is None)


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


def do_without(
    config: pytest.Config, program: str, how_to_get: str, *, is_optional: bool = False
) -> NoReturn:
    """Skip the tests that need a program, and list the program at the end of the run.

    In CI all but optional programs are required, so the tests fail.
    """
    reason = f"no {program} was found: {how_to_get}"
    if os.environ.get("CI") == "true" and not is_optional:
        pytest.fail(reason, pytrace=False)
    config.stash.setdefault(MISSING, {})[program] = how_to_get
    pytest.skip(reason)


# Outermost, so that these are the last lines, after the short summary.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    yield
    for program, how_to_get in config.stash.get(MISSING, {}).items():
        terminalreporter.section(f"the tests with {program} were skipped", yellow=True)
        terminalreporter.line(f"No {program} was found. To run them: {how_to_get}.")


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
