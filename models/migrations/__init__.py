"""Alembic's revisions of the database schema, the same for both databases.

`python -m models.migrations "subject"` writes a new one from the mapped classes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models import Row
from models.row_security import grants

# Any number that nobody else locks in the database of a portal.
LOCK = 7_026_061_907


async def upgrade(engine: AsyncEngine, revision: str = "head", role: str | None = None) -> None:
    """Upgrade to a revision in one transaction. Do nothing if the database is there already.

    `role` is the role of the server, which is then granted its rights on the tables. Raise
    UnknownRevision if another release has made the tables.
    """
    async with single_migration(engine) as conn:
        await conn.run_sync(refuse_unknown)
        await conn.run_sync(lambda sync: command.upgrade(config(sync), revision))
        for statement in grants(Row.metadata, role) if role is not None else ():
            await conn.execute(text(statement))


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Downgrade to the revision; `base` takes away every table, and what is in them."""
    async with single_migration(engine) as conn:
        await conn.run_sync(lambda sync: command.downgrade(config(sync), revision))


async def current_revision(engine: AsyncEngine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    async with engine.connect() as conn:
        return await conn.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_revision()
        )


class UnknownRevision(Exception):
    """The tables were made by another release; the text says so to the operator."""


def refuse_unknown(sync: Connection) -> None:
    """Raise UnknownRevision where no migration of this release has the database's revision."""
    found = MigrationContext.configure(sync).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if found is not None and found not in known:
        raise UnknownRevision(
            f"The database is at revision {found}, which this release does not know."
            " Use the release that made it, or an empty database."
        )


async def is_up_to_date(engine: AsyncEngine) -> bool:
    """Return whether the database is at the revision of this release."""
    return await current_revision(engine) == head()


def head() -> str | None:
    return ScriptDirectory.from_config(config()).get_current_head()


def config(conn: Connection | None = None) -> Config:
    """Alembic's settings, without a file; env.py finds the connection among them."""
    made = Config(attributes={"connection": conn})
    # Alembic interpolates options, and a folder's name may have a percent sign.
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


@asynccontextmanager
async def single_migration(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that no other migration runs beside: a second one waits, and finds it done."""
    async with engine.connect() as conn:
        if engine.dialect.name == "sqlite":
            async with without_foreign_keys(conn), conn.begin():
                yield conn
                await refuse_dangling(conn)
        else:
            async with conn.begin():
                await conn.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
                yield conn


@asynccontextmanager
async def without_foreign_keys(conn: AsyncConnection) -> AsyncIterator[None]:
    """SQLite alters a table by making it anew, which the rows that refer to it would refuse.

    Inside a transaction the pragma does nothing, so it goes to the driver before there is one.
    """
    driver: Any = (await conn.get_raw_connection()).driver_connection
    await driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        await driver.execute("PRAGMA foreign_keys=ON")


async def refuse_dangling(conn: AsyncConnection) -> None:
    dangling = (await conn.execute(text("PRAGMA foreign_key_check"))).all()
    if dangling:
        raise DanglingRows(f"{len(dangling)} rows refer to nothing, the first in {dangling[0][0]}")


class DanglingRows(Exception):
    """A migration left rows on SQLite that refer to rows which aren't there; it was undone."""
