"""End of leases, which use the database's clock and so cannot be advanced by a test."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from models import Row

LEASED = [
    mapper.class_ for mapper in Row.registry.mappers if "leased_until" in mapper.class_.__table__.c
]


async def run_out(engine: AsyncEngine) -> None:
    """End all leases, as if their time had passed."""
    async with engine.begin() as conn:
        for row in LEASED:
            await conn.execute(update(row).values(leased_until=None))
