"""Backups of the tests' databases, and databases that are restored from them.

SQLite is backed up as `portal backup` does it, PostgreSQL by pg_dump and pg_restore, as
docs/operations.md has it.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from billing.recovery.backup import back_up
from billing.recovery.identity import store_identity
from models.database import backend_name, open_engine, sqlite_path
from tests.support import postgres
from tests.support.payments import Paying, serving


async def backed_up(url: str, folder: Path) -> Path:
    """Back a database up that was served, and return the file."""
    async with open_engine(url) as engine:
        await store_identity(engine)
    file = folder / "portal.backup"
    if backend_name(url) == "sqlite":
        await back_up(Path(sqlite_path(url)), file)
    else:
        arguments = "--format=custom", f"--file={file}", postgres.as_owner(url)
        await run(program("pg_dump"), *arguments)
    return file


@asynccontextmanager
async def restored(url: str, backup: Path) -> AsyncIterator[str]:
    """Yield the URL of a database that is restored from a backup of this one."""
    if backend_name(url) == "sqlite":
        file = backup.with_name(f"restored-{len(list(backup.parent.iterdir()))}.db")
        shutil.copy(backup, file)
        yield f"sqlite:///{file}"
        return
    async with postgres.database(server_of(url)) as empty:
        name = urlsplit(empty).path.removeprefix("/")
        into = postgres.of_database(server_of(url), name)
        await run(program("pg_restore"), "--exit-on-error", f"--dbname={into}", str(backup))
        await postgres.execute(empty, postgres.CLOSE)
        yield empty


def server_of(url: str) -> str:
    """Return the URL by which databases are made on the server of one of them."""
    server = postgres.of_role(postgres.of_database(url, "postgres"), "postgres")
    return os.environ.get("TEST_DATABASE_URL") or server


def program(name: str) -> str:
    folder = postgres.find()
    found = shutil.which(name) if folder is None else str(folder / name)
    assert found is not None
    return found


async def run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


@asynccontextmanager
async def after_restore(portal: Paying, backup: Path) -> AsyncIterator[Paying]:
    """Yield a portal over the restored rows of another one, with the same double of Stripe."""
    async with restored(portal.url, backup) as url, over_copy(portal, url) as later:
        yield later


@asynccontextmanager
async def over_copy(portal: Paying, url: str) -> AsyncIterator[Paying]:
    """Yield a portal over a copy of the rows of another one, with the same double of Stripe."""
    async with open_engine(url) as engine:
        later = Paying(url, engine)
        for name in ("practice_id", "client_id", "other_id", "guardian_id", "clock", "store"):
            setattr(later, name, getattr(portal, name))
        async with serving(later):
            yield later
