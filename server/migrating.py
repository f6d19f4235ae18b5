"""The command `portal migrate`: the upgrade of the database's tables."""

from models import database, migrations
from server.private_files import make_private_database
from server.settings import Settings


async def migrate(settings: Settings) -> str:
    """Upgrade the database and return a sentence with its revision."""
    make_private_database(settings.database_url)
    async with database.opened(settings.database_url) as engine:
        await migrations.migrate(engine)
        return f"The database is at revision {await migrations.current(engine)}."
