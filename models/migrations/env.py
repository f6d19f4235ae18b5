"""What Alembic runs for every command; the connection comes from models.migrations."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

import models
from models.row import ID, Instant


def written(kind: str, item: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    """Our own types by their names in a new revision, not by what they are made of."""
    name = "Instant()" if isinstance(item, Instant) else "ID" if item is ID else None
    if kind != "type" or name is None:
        return False
    autogenerate.imports.add(f"from models.row import {name.removesuffix('()')}")
    return name


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=models.Row.metadata,
    render_item=written,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
