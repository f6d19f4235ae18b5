"""Checks of practices' settings when the server starts."""

from sqlalchemy import select

from billing.practices import faults
from models import Practice, database
from server.settings import Settings


async def wrong_settings(settings: Settings) -> list[str]:
    """Return a sentence for each setting of a practice that this server cannot use.

    The server starts anyway, and serves the other practices.
    """
    columns = select(Practice.id, Practice.time_zone, Practice.locale, Practice.portal_url)
    async with database.open_engine(settings.database_url) as engine, engine.connect() as conn:
        practices = (await conn.execute(columns.order_by(Practice.id))).all()
    return [f"{fault}." for practice in practices for fault in faults(*practice)]
