"""Databases with all tables and no rows, quickly: migrated once a process, then copied."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import make_url

from models.connections import engine
from models.migrations import migrate


@cache
def folder() -> tempfile.TemporaryDirectory[str]:
    """Goes when the process ends."""
    return tempfile.TemporaryDirectory()


async def prepare(url: str) -> None:
    """Brings the empty database of this URL to the last revision; PostgreSQL's is migrated."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        await migrated(url)
        return
    template = Path(folder().name) / "migrated.db"
    if not template.exists():
        await migrated(f"sqlite:///{template}")
    shutil.copy(template, parsed.database or "")


async def migrated(url: str) -> None:
    database = engine(url)
    await migrate(database)
    await database.dispose()
