"""An assertion that the database refuses a write."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.exc import IntegrityError

from tests.support.factories import (
    Books,
)


@asynccontextmanager
async def refused(books: Books, kind: str, name: str) -> AsyncIterator[None]:
    """Assert that the database refuses a write, and by which constraint.

    SQLite does not name foreign keys; for uniqueness it names the columns.
    """
    savepoint = await books.connection.begin_nested()
    with pytest.raises(IntegrityError) as caught:
        yield
    await savepoint.rollback()
    said = str(caught.value.orig)
    if books.connection.dialect.name == "sqlite":
        assert f"{kind} constraint failed" in said
        assert kind != "CHECK" or name in said
    else:
        assert f"{kind.lower()} constraint" in said
        assert name in said
