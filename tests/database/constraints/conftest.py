"""A database in which each constraint can be tried, on both kinds."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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


@pytest.fixture(scope="module")
async def connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection in a transaction that is rolled back after the module's tests."""
    async with engine.connect() as conn, conn.begin() as transaction:
        yield conn
        await transaction.rollback()


@pytest.fixture
async def books(connection: AsyncConnection) -> AsyncIterator[Books]:
    """Yield the books of a practice, which are rolled back after the test."""
    savepoint = await connection.begin_nested()
    yield await Books.opened(connection)
    await savepoint.rollback()


@pytest.fixture(scope="module")
async def filled(connection: AsyncConnection) -> Books:
    books = await Books.opened(connection)
    await books.fill()
    return books


@pytest.fixture
async def every_row(filled: Books) -> AsyncIterator[Books]:
    """Yield books with a row in each table. Their changes are rolled back after the test."""
    savepoint = await filled.connection.begin_nested()
    books = Books(filled.connection, filled.practice)
    books.ids |= filled.ids
    yield books
    await savepoint.rollback()
