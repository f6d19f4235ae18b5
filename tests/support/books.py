"""The verification of books, as `portal verify` makes it, at the end of tests of any kind."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.ledger.verification import Finding, Verification, unprotected_tables
from models import Practice


async def findings(engine: AsyncEngine, practice_id: str) -> list[Finding]:
    """Return the differences in a practice's books."""
    return [one async for one in Verification(engine, practice_id).findings()]


async def differences(engine: AsyncEngine) -> list[Finding]:
    """Return the differences in the books of all practices.

    Rows are compared with their hashes, and each rule of the ledger and each daily root is checked.
    """
    async with engine.connect() as conn:
        practices = (await conn.scalars(select(Practice.id))).all()
    assert practices
    return [one for practice_id in practices for one in await findings(engine, practice_id)]


async def assert_verified(engine: AsyncEngine) -> None:
    """Assert that all books are whole and that the triggers of their tables are in place."""
    assert await differences(engine) == []
    assert await unprotected_tables(engine) == []
