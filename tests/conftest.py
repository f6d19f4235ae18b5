"""Hooks of all tests; their fixtures are in `tests/support/fixtures.py`."""

import gc
import os
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from execution.garbage_collection import collect_rarely
from tests.support import shares

# The seed of random practices and operations; a soak sets another.
SEED = int(os.environ.get("PRACTICES_SEED", "1"))
# Programs that tests need and that were not found, and how to get them.
MISSING = pytest.StashKey[dict[str, str]]()
FIXTURES = "tests.support.fixtures"
pytest.register_assert_rewrite(FIXTURES)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="run the part of `make test`")
    parser.addoption("--rest", action="store_true", help="run the part of `make test-rest`")


def pytest_configure(config: pytest.Config) -> None:
    shares.set_quick(config.option.quick or config.option.rest)
    collect_rarely()
    # How long an example takes, or its making, decides nothing.
    settings.register_profile(
        "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("untimed")
    if not only_distributes(config):
        config.pluginmanager.import_plugin(FIXTURES)


def only_distributes(config: pytest.Config) -> bool:
    """Return whether this process leaves all tests to others (`pytest -n`)."""
    is_distributed = config.getoption("dist", "no") != "no" and not config.option.collectonly
    return is_distributed and not hasattr(config, "workerinput")


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
