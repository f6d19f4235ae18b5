"""A practice whose events are delivered, on both databases."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.webhooks import HookDesk, hook_database, hook_desk

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def database(new_database: NewDatabase) -> AsyncIterator[tuple[AsyncEngine, str]]:
    async with new_database() as url, hook_database(url) as engine:
        yield engine, url


@pytest.fixture
async def hooks(database: tuple[AsyncEngine, str]) -> AsyncIterator[HookDesk]:
    async with hook_desk(*database) as made:
        yield made
