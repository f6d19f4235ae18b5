"""`portal migrate`: tables are made by their owner, and granted to the role that serves."""

from sqlalchemy import text

from models import database, migrations
from models.database import backend_name
from server.settings import Settings


async def upgraded(settings: Settings) -> str:
    """Bring the database's tables up to date; return what to say of it.

    By `DATABASE_OWNER_URL`, where that is set. The tables are then granted to the role of
    `DATABASE_URL`.
    """
    owners, serves = settings.database_owner_url or settings.database_url, None
    if await role_of(settings.database_url) != await role_of(owners):
        serves = await role_of(settings.database_url)
    async with database.opened(owners) as engine:
        await migrations.migrate(engine, role=serves)
        said = f"The database is at revision {await migrations.current(engine)}."
    return f"{said} {serves} may serve it." if serves else said


async def role_of(url: str) -> str | None:
    """Return the role that a URL of PostgreSQL connects by."""
    if backend_name(url) == "sqlite":
        return None
    async with database.opened(url) as engine, engine.connect() as conn:
        name: str = await conn.scalar(text("SELECT current_user"))
    return name
