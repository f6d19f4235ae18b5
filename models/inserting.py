"""INSERT … ON CONFLICT, which is each dialect's own."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from models.row import Row

INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_into(rows: AsyncConnection, model: type[Row]) -> Any:
    """An insert that takes `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return INSERTS[rows.dialect.name](model)
