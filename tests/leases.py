"""Leases that run out: they go by the database's clock, which no test can move."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from models import Row

LEASED = [
    mapper.class_ for mapper in Row.registry.mappers if "leased_until" in mapper.class_.__table__.c
]


async def run_out(engine: AsyncEngine) -> None:
    """End all leases, as if so much time had passed."""
    async with engine.begin() as conn:
        for row in LEASED:
            await conn.execute(update(row).values(leased_until=None))
