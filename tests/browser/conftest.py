"""Visitors of the portal page, in one chromium.

Readers share a demo. Payers share another one, which gets its first rows again before each of them.
"""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import BrowserContext

from tests.browser import browsing
from tests.browser.visiting import Visit, visit
from tests.support import demo_server as demonstration
from tests.support.demo_server import Demo
from tests.support.demo_snapshot import Snapshot, taken


@pytest.fixture(scope="session")
def payers_demo(
    forked: demonstration.Run, snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Demo, Snapshot]]:
    """Run a demo for all payers, and yield it with a snapshot of its first rows."""
    folder = tmp_path_factory.mktemp("payers")
    snapshot.copy_to(folder)
    with demonstration.served(folder, run=forked) as started:
        yield started, taken(started, folder / "first rows")


@pytest.fixture
def own_demo(payers_demo: tuple[Demo, Snapshot]) -> Demo:
    """Return a demo with its first rows, which the test may change."""
    demo, first = payers_demo
    first.restore(demo)
    return demo


@pytest.fixture(scope="session")
async def chrome(
    chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BrowserContext]:
    """Run one chromium for all visits."""
    # The documentation's pictures are sharp; others are quicker with fewer pixels.
    scale = 2 if "PICTURES" in os.environ else 1
    profile = tmp_path_factory.mktemp("profile")
    async with browsing.browser(chromium, profile, scale=scale) as started:
        yield started


@pytest.fixture
async def reader(chrome: BrowserContext, demo: Demo) -> AsyncIterator[Visit]:
    async with visit(chrome, demo) as visiting:
        await browsing.clear(visiting.page, demo.url)
        yield visiting


@pytest.fixture
async def payer(own_demo: Demo, chrome: BrowserContext) -> AsyncIterator[Visit]:
    async with visit(chrome, own_demo) as visiting:
        await browsing.clear(visiting.page, own_demo.url)
        yield visiting
