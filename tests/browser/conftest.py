"""Visitors of the portal page: readers share one demo, payers have one each."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from tests.browser import browsing
from tests.browser.visiting import Visit, visit
from tests.support import demo_server as demonstration
from tests.support.demo_server import Demo


@pytest.fixture(scope="session")
def made(forked: demonstration.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a demo, end it, and return its folder."""
    folder = tmp_path_factory.mktemp("made")
    with demonstration.served(folder, run=forked):
        pass
    return folder


@pytest.fixture
def own_demo(forked: demonstration.Run, made: Path, tmp_path: Path) -> Iterator[Demo]:
    """Yield a demo with the same rows that the test may change."""
    folder = tmp_path / "demo"
    shutil.copytree(made, folder)
    with demonstration.served(folder, run=forked) as started:
        yield started


@pytest.fixture(scope="session")
async def chrome(
    chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BrowserContext]:
    """Run one chromium for all visits. A page's storage belongs to its tab alone."""
    async with browsing.browser(chromium, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
async def reader(chrome: BrowserContext, demo: Demo) -> AsyncIterator[Visit]:
    async with visit(chrome, demo) as visiting:
        yield visiting


@pytest.fixture
async def payer(chrome: BrowserContext, own_demo: Demo) -> AsyncIterator[Visit]:
    async with visit(chrome, own_demo) as visiting:
        yield visiting
