"""Cards that Stripe is to forget: written down with what made it so, and done afterwards.

So nothing stays at Stripe where a process dies between the two.
"""

import datetime as dt
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.gateway import Rejected, Unknown
from billing.till import Till
from models import Detachment, Practice
from models.ids import new_id
from models.inserting import insert_into

# Another worker leaves one alone for so long after one began with it.
LEASE = dt.timedelta(seconds=60)
AT_A_TIME = 20


async def write_down(
    rows: AsyncConnection, practice_id: str, client_id: str, stripe_id: str, now: dt.datetime
) -> None:
    """Have Stripe forget a card, once this transaction is committed."""
    written = insert_into(rows, Detachment).values(
        practice_id=practice_id,
        id=new_id(),
        client_id=client_id,
        stripe_id=stripe_id,
        created_at=now,
        checked_at=now - LEASE,
    )
    await rows.execute(written.on_conflict_do_nothing())


async def work(till: Till) -> int:
    """Have Stripe forget the cards that wait; how many there were."""
    waiting = await taken(till)
    for one in waiting:
        if await forgotten(till, one):
            done = update(Detachment).where(
                Detachment.practice_id == one.practice_id, Detachment.id == one.id
            )
            async with till.engine.begin() as rows:
                await rows.execute(done.values(done_at=till.now()))
    return len(waiting)


async def forgotten(till: Till, one: Row[Any]) -> bool:
    async with till.engine.connect() as rows:
        theirs = select(Practice.stripe_account).where(Practice.id == one.practice_id)
        account = await rows.scalar(theirs)
    if account is None:
        return True  # the practice has left Stripe
    try:
        await till.stripe.detach(account, one.stripe_id)
    except Rejected:
        return True  # it has none any more
    except Unknown:
        return False
    return True


async def taken(till: Till) -> list[Row[Any]]:
    """Some that nobody else is at, theirs for the length of the lease."""
    now = till.now()
    waiting = (
        select(Detachment.id)
        .where(Detachment.done_at.is_(None), Detachment.checked_at <= now - LEASE)
        .order_by(Detachment.checked_at)
        .limit(AT_A_TIME)
        .with_for_update(skip_locked=True)
    )
    mine = update(Detachment).where(Detachment.id.in_(waiting)).values(checked_at=now)
    async with till.engine.begin() as rows:
        return list(await rows.execute(mine.returning(*Detachment.__table__.c)))
