"""A database in which each constraint can be tried, on both kinds."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from models import (
    Row,
    database,
    migrations,
)
from models.append_only import is_append_only, unprotect
from tests.support.factories import Books
from tests.support.triggers import STATEFUL, drop_triggers

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    """Yield the engine of a database in which rows of every table can be changed."""
    async with new_database() as url:
        engine = database.engine(url)
        await migrations.upgrade(engine)
        async with engine.begin() as conn:
            for table in filter(is_append_only, Row.metadata.sorted_tables):
                await conn.run_sync(unprotect, table.name)
            await drop_triggers(conn, *STATEFUL)
        yield engine
        await engine.dispose()


@pytest.fixture
async def books(engine: AsyncEngine) -> AsyncIterator[Books]:
    """Yield the books of a practice, which are rolled back after the test."""
    async with engine.connect() as conn, conn.begin() as transaction:
        yield await Books.opened(conn)
        await transaction.rollback()


@pytest.fixture
async def every_row(books: Books) -> Books:
    """Return books with a row in each table."""
    await books.fill()
    return books
