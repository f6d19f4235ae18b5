"""Alembic's revisions of the database schema, the same for both databases.

`python -m models.migrations "subject"` writes a new one from the mapped classes.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models import Row
from models.migrations import steps
from models.row_security import grants
from models.version_triggers import create_missing_triggers

log = logging.getLogger("portal.migrations")
# Any number that nobody else locks in the database of a portal, and the pause between two tries.
LOCK, LOCK_AGAIN_S = 7_026_061_907, 0.2
# The folders of revisions. Tests and trials add others.
FOLDERS = [Path(__file__).parent / "versions"]


async def upgrade(engine: AsyncEngine, revision: str = "head", role: str | None = None) -> None:
    """Upgrade to a revision: each revision in one transaction, and then its steps.

    The triggers that renew versions of data are those of the release, so no revision creates them.
    A migration that was interrupted, or blocked, goes on where it ended. `role` is the role of the
    server, which is then granted its rights on the tables. Raise UnknownRevision if another release
    has made the tables.
    """
    async with sole_migration(engine):
        await run_steps(engine, await current_revision(engine))
        step = partial(advance, engine, revision)
        while (reached := await steps.repeat_while_locked(step)) is not None:
            await run_steps(engine, reached)
        await steps.repeat_while_locked(partial(create_triggers, engine))
        if role is not None:
            async with engine.begin() as conn:
                for statement in grants(Row.metadata, role):
                    await conn.execute(text(statement))


async def create_triggers(engine: AsyncEngine) -> None:
    """Create the triggers that renew versions of data, where they are not those of the release."""
    async with migration_transaction(engine) as conn:
        for table in await conn.run_sync(create_missing_triggers):
            log.info("triggers of %s", table)


async def advance(engine: AsyncEngine, target: str) -> str | None:
    """Upgrade by one revision, and return it, or None at the target."""
    async with migration_transaction(engine) as conn:
        await conn.run_sync(refuse_unknown)
        following = next_revision(await conn.run_sync(revision_in), target)
        if following is not None:
            log.info("revision %s", following)
            await conn.run_sync(lambda sync: command.upgrade(config(sync), following))
        return following


async def run_steps(engine: AsyncEngine, revision: str | None) -> None:
    """Run the steps of a revision."""
    known = scripts().get_revision(revision) if revision in known_revisions() else None
    for step in getattr(known.module, "STEPS", ()) if known else ():
        log.info("step %s of revision %s", step, revision)
        await step.run(engine)


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Downgrade to the revision; `base` takes away every table, and what is in them."""
    async with sole_migration(engine):
        await steps.repeat_while_locked(partial(retreat, engine, revision))
        await steps.repeat_while_locked(partial(create_triggers, engine))


async def retreat(engine: AsyncEngine, revision: str) -> None:
    async with migration_transaction(engine) as conn:
        await conn.run_sync(lambda sync: command.downgrade(config(sync), revision))


async def current_revision(engine: AsyncEngine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    async with engine.connect() as conn:
        return await conn.run_sync(revision_in)


def revision_in(sync: Connection) -> str | None:
    return MigrationContext.configure(sync).get_current_revision()


class UnknownRevision(Exception):
    """The tables were made by another release; the text says so to the operator."""


def refuse_unknown(sync: Connection) -> None:
    """Raise UnknownRevision where no migration of this release has the database's revision."""
    found = revision_in(sync)
    if found is not None and found not in known_revisions():
        raise UnknownRevision(newer_release(found))


def newer_release(found: str) -> str:
    """Return what an operator does with a revision that this release does not know."""
    return (
        f"The database is at revision {found}, which this release does not know: start the newer"
        f" release that made it, or run `portal migrate --to {head()}` of that release first."
    )


def older_release(found: str | None) -> str:
    """Return what an operator does with a revision that is older than this release."""
    if found is None:
        return "The database is not up to date: run `portal migrate` first."
    return (
        f"The database is not up to date: it is at revision {found}, and this release needs"
        f" {head()}. Run `portal migrate` of this release first."
    )


def revision_fault(found: str | None) -> str | None:
    """Return what an operator does with a database at a revision, or None if this release is its
    own.
    """
    if found == head():
        return None
    return older_release(found) if is_known(found) else newer_release(str(found))


def is_known(found: str | None) -> bool:
    """Return whether this release knows a revision. An empty database has none, and is known."""
    return found is None or found in known_revisions()


async def is_up_to_date(engine: AsyncEngine) -> bool:
    """Return whether the database is at the revision of this release."""
    return await current_revision(engine) == head()


def head() -> str | None:
    return scripts().get_current_head()


def scripts() -> ScriptDirectory:
    """Return the revisions of this release."""
    return ScriptDirectory.from_config(config())


def known_revisions() -> list[str]:
    """Return the revisions of this release, the last one first."""
    return [script.revision for script in scripts().walk_revisions()]


def next_revision(found: str | None, target: str) -> str | None:
    """Return the revision after the found one, or None if the target is reached."""
    order = known_revisions()[::-1]
    last = order[-1] if target == "head" else target
    ahead = order[0 if found is None else order.index(found) + 1 : order.index(last) + 1]
    return ahead[0] if ahead else None


def config(conn: Connection | None = None) -> Config:
    """Alembic's settings, without a file; env.py finds the connection among them."""
    made = Config(attributes={"connection": conn})
    # Alembic interpolates options, and a folder's name may have a percent sign.
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    folders = os.pathsep.join(map(str, FOLDERS)).replace("%", "%%")
    made.set_main_option("version_locations", folders)
    return made


@asynccontextmanager
async def sole_migration(engine: AsyncEngine) -> AsyncIterator[None]:
    """A context that no other migration runs beside: a second one waits, and finds it done.

    A waiting statement would have a snapshot, and the making of an index waits for all of those. So
    the lock is asked for again and again.
    """
    if engine.dialect.name == "sqlite":
        yield
        return
    async with engine.connect() as conn:
        conn = await conn.execution_options(isolation_level="AUTOCOMMIT")
        while not await conn.scalar(text(f"SELECT pg_try_advisory_lock({LOCK})")):  # noqa: ASYNC110
            await asyncio.sleep(LOCK_AGAIN_S)
        try:
            yield
        finally:
            await conn.scalar(text(f"SELECT pg_advisory_unlock({LOCK})"))


@asynccontextmanager
async def migration_transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction whose statements give up waiting for a table before reads do."""
    async with engine.connect() as conn:
        if engine.dialect.name == "sqlite":
            async with without_foreign_keys(conn), conn.begin():
                yield conn
                await refuse_dangling(conn)
        else:
            async with conn.begin():
                await steps.limit_lock_wait(conn)
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
