"""Payments at Stripe that the database has lost: the proof that it was restored from a backup.

A payment's row is committed before its PaymentIntent is created, and the PaymentIntent's id before
the money can move. So after a crash each PaymentIntent has its row, and only an unconfirmed one may
be unknown by its id. After a restore either may be missing.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select

from billing.payments.context import PaymentContext
from billing.stripe.objects import Intent, IntentStatus
from models import Payment, Practice, UnadoptedPayment

# The clocks of this server and of Stripe may differ by no more than this.
MARGIN = dt.timedelta(hours=1)
# The range where the practice was never compared with Stripe.
AT_FIRST = dt.timedelta(days=90)
# The number of payments that are read from the database at a time.
PAGE_SIZE = 200
# The statuses of a PaymentIntent with which no money has moved, nor is about to.
STILL = (
    IntentStatus.REQUIRES_PAYMENT_METHOD,
    IntentStatus.REQUIRES_CONFIRMATION,
    IntentStatus.CANCELED,
)


async def lost_payments(
    context: PaymentContext, practice_id: str, account: str
) -> Sequence[Intent]:
    """Return the PaymentIntents that the database has lost since the last comparison with Stripe.

    The comparison ends only without such a loss, so the time of the last one is a safe beginning.
    Raise Unknown if Stripe gives no answer. Stripe is asked before the database, which so has the
    row of each PaymentIntent in the answer.
    """
    async with context.engine.connect() as conn:
        compared = select(Practice.compared_at).where(Practice.id == practice_id)
        compared_at: dt.datetime | None = await conn.scalar(compared)
    since = compared_at - MARGIN if compared_at else context.now() - AT_FIRST
    return await unknown_here(context, practice_id, await context.stripe.intents(account, since))


async def unknown_here(
    context: PaymentContext, practice_id: str, intents: Iterable[Intent]
) -> list[Intent]:
    """Return the practice's PaymentIntents that the database has lost, in their order.

    Those that a recovery could not adopt and has reported are left out.
    """
    own = [one for one in intents if one.order and one.order.practice_id == practice_id]
    found: list[Intent] = []
    for start in range(0, len(own), PAGE_SIZE):
        page = own[start : start + PAGE_SIZE]
        known = await stored_ids(context, practice_id, page)
        found += [one for one in page if is_lost(one, known)]
    return found


async def stored_ids(
    context: PaymentContext, practice_id: str, intents: Sequence[Intent]
) -> Mapping[str, set[str | None]]:
    """Return the PaymentIntents of each payment that the database has, or has reported."""
    ids = [one.order.payment_id for one in intents if one.order]
    known: defaultdict[str, set[str | None]] = defaultdict(set)
    async with context.engine.connect() as conn:
        for table in (Payment, UnadoptedPayment):
            columns = select(table.id, table.stripe_id)
            rows = columns.where(table.practice_id == practice_id, table.id.in_(ids))
            for row in await conn.execute(rows):
                known[row.id].add(row.stripe_id)
    return known


def is_lost(intent: Intent, known: Mapping[str, set[str | None]]) -> bool:
    assert intent.order is not None
    payment_id = intent.order.payment_id
    if payment_id not in known:
        return True
    return intent.id not in known[payment_id] and intent.status not in STILL
