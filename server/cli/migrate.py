"""The command `portal migrate`: upgrades the tables, and grants them to the serving role."""

from sqlalchemy import text

from billing.recovery.identity import store_identity
from models import database, migrations
from models.database import backend_name
from server.private_files import make_private_database
from server.settings import Settings


async def migrate(settings: Settings) -> str:
    """Upgrade the database and return a sentence with its revision.

    Connect by `DATABASE_OWNER_URL` if it is set, and then grant the tables to the role of
    `DATABASE_URL`.
    """
    make_private_database(settings.database_url)
    owner_url, serving_role = settings.database_owner_url or settings.database_url, None
    if await role_of(settings.database_url) != await role_of(owner_url):
        serving_role = await role_of(settings.database_url)
    async with database.open_engine(owner_url) as engine:
        await migrations.upgrade(engine, role=serving_role)
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
