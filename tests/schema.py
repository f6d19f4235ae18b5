"""Databases with all tables and no rows, quickly: migrated once a process, then copied."""

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import make_url

from models.database import engine
from models.migrations import migrate

TEMPLATE = "portal_test_migrated"
EXISTS = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"


async def prepare(url: str) -> None:
    """Brings the empty database of this URL to the last revision."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        await copy_file(Path(parsed.database or ""))
    elif os.environ.get("TEST_DATABASE_URL"):
        # On a server that isn't ours nothing may be left, as a template would be.
        await migrated(url)
    else:
        await copy_database(url)


async def copy_file(path: Path) -> None:
    template = Path(folder().name) / "migrated.db"
    if not template.exists():
        await migrated(f"sqlite:///{template}")
    shutil.copy(template, path)


@cache
def folder() -> tempfile.TemporaryDirectory[str]:
    """Goes when the process ends."""
    return tempfile.TemporaryDirectory()


async def copy_database(url: str) -> None:
    parts = urlsplit(url)
    server = await asyncpg.connect(parts._replace(path="/postgres").geturl())
    try:
        if not await server.fetchval(EXISTS, TEMPLATE):
            await server.execute(f'CREATE DATABASE "{TEMPLATE}" TEMPLATE template0')
            await migrated(parts._replace(path=f"/{TEMPLATE}").geturl())
        name = parts.path.removeprefix("/")
        await server.execute(f'DROP DATABASE "{name}"')
        await server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
    finally:
        await server.close()


async def migrated(url: str) -> None:
    database = engine(url)
    await migrate(database)
    await database.dispose()
