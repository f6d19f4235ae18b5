"""Checks of practices' settings when the server starts."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.practices import faults
from models import Practice


async def wrong_settings(conn: AsyncConnection) -> list[str]:
    """Return a sentence for each setting of a practice that this server cannot use.

    The server starts anyway, and serves the other practices.
    """
    columns = select(Practice.id, Practice.time_zone, Practice.locale, Practice.portal_url)
    practices = (await conn.execute(columns.order_by(Practice.id))).all()
    return [f"{fault}." for practice in practices for fault in faults(*practice)]
