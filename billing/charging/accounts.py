"""A practice's accounts at Stripe: its own one now, and those that its earlier payments are in."""

from sqlalchemy import select, union

from billing.till import Till
from models import Payment, Practice


async def accounts(till: Till, practice_id: str) -> list[str]:
    """Return every account that has a payment of the practice, and the practice's own, in order."""
    own = select(Practice.stripe_account.label("account")).where(Practice.id == practice_id)
    used = select(Payment.stripe_account).where(Payment.practice_id == practice_id)
    async with till.engine.connect() as conn:
        return sorted(filter(None, await conn.scalars(union(own, used))))
