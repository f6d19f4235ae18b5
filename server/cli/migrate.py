"""The command `portal migrate`: upgrades the tables, and grants them to the serving role."""

from sqlalchemy import text

from billing.recovery.identity import store_identity
from models import database, migrations
from models.database import backend_name
from server.command_errors import CommandError
from server.private_files import make_private_database
from server.settings import Settings


class WrongTarget(CommandError):
    """A revision that this release cannot bring the database to."""


async def is_earlier(settings: Settings, revision: str) -> bool:
    """Return whether a revision is earlier than the database's. Raise WrongTarget if this release
    does not know one of the two.
    """
    known = migrations.known_revisions()
    if revision not in known:
        raise WrongTarget(f"This release has no revision {revision}: it has {', '.join(known)}.")
    async with database.open_engine(settings.database_owner_url or settings.database_url) as engine:
        found = await migrations.current_revision(engine)
    if found is not None and found not in known:
        raise WrongTarget(migrations.newer_release(found))
    return found is not None and known.index(found) < known.index(revision)


async def migrate(settings: Settings, revision: str | None = None) -> str:
    """Bring the database to a revision, by default the last one, and return a sentence with it.

    Connect by `DATABASE_OWNER_URL` if it is set, and then grant the tables to the role of
    `DATABASE_URL`.
    """
    make_private_database(settings.database_url)
    owner_url, serving_role = settings.database_owner_url or settings.database_url, None
    if await role_of(settings.database_url) != await role_of(owner_url):
        serving_role = await role_of(settings.database_url)
    async with database.open_engine(owner_url) as engine:
        if revision is not None and await is_earlier(settings, revision):
            await migrations.downgrade(engine, revision)
        else:
            await migrations.upgrade(engine, revision or "head", role=serving_role)
        await store_identity(engine)
        sentence = f"The database is at revision {await migrations.current_revision(engine)}."
    return f"{sentence} {serving_role} may serve it." if serving_role else sentence


async def role_of(url: str) -> str | None:
    """Return the PostgreSQL role that a URL connects by; None on SQLite."""
    if backend_name(url) == "sqlite":
        return None
    async with database.open_engine(url) as engine, engine.connect() as conn:
        name: str = await conn.scalar(text("SELECT current_user"))
    return name
