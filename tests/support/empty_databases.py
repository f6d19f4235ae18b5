"""Databases with all tables and no rows, quickly: migrated once a process, then copied."""

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url

from models.database import open_engine
from models.migrations import upgrade
from tests.support import postgres

TEMPLATE = "portal_test_migrated"
# The URLs of servers that have the template.
_migrated = set[str]()


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
    """Put a copy of the migrated database in the place of this one, on a server of our own."""
    server_url = postgres.of_role(postgres.of_database(url, "postgres"), "postgres")
    if server_url not in _migrated:
        await migrated(await postgres.create(server_url, TEMPLATE))
        _migrated.add(server_url)
    await postgres.replace(server_url, urlsplit(url).path.removeprefix("/"), TEMPLATE)


async def migrated(url: str) -> None:
    """Migrate an empty database, as its operator would: by its owner, for the role that serves."""
    async with open_engine(postgres.as_owner(url)) as owning:
        await upgrade(owning, role=postgres.SERVING if postgres.is_served(url) else None)
    if postgres.is_served(url):
        await postgres.execute(url, postgres.CLOSE)
