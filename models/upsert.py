"""INSERT … ON CONFLICT, in each dialect's form."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from models.row import Row

INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_into(conn: AsyncConnection, model: type[Row]) -> Any:
    """Return an insert that supports `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return INSERTS[conn.dialect.name](model)
