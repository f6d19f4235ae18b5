"""The daily comparison with all that Stripe has: what no event told is found here.

It reads Stripe's lists of what is new, and looks at each thing of ours that is among it.
"""

import datetime as dt
import logging
from typing import Any

from sqlalchemy import Row, or_, select, update

from billing.cards import keeping
from billing.charging.driving import ask
from billing.charging.inbox import paid_by
from billing.charging.reversing import reverse
from billing.gateway import StripeTrouble
from billing.till import Till
from models import CardSetup, Practice, SetupState

EVERY, RETRY = dt.timedelta(days=1), dt.timedelta(hours=1)
# Further back than the last one, as a refund may be of an older payment.
OVERLAP = dt.timedelta(days=2)
# How far the first one looks back.
AT_FIRST = dt.timedelta(days=90)

log = logging.getLogger("portal.payments")


async def work(till: Till) -> int:
    """Compare one practice that wasn't in the last day; how many there were, 1 or 0."""
    began = till.now()
    practice = await due(till)
    if practice is None:
        return 0
    since = (practice.compared_at - OVERLAP) if practice.compared_at else began - AT_FIRST
    try:
        await compare(till, practice.id, practice.stripe_account, since)
    except StripeTrouble as trouble:
        log.warning("practice %s was not compared with Stripe: %s", practice.id, trouble)
        return 1  # tried again in an hour
    mine = update(Practice).where(Practice.id == practice.id)
    async with till.engine.begin() as rows:
        await rows.execute(mine.values(compared_at=began, compare_after=began + EVERY))
    return 1


async def compare(till: Till, practice_id: str, account: str, since: dt.datetime) -> None:
    """Look at each payment and card of ours that Stripe has something new of."""
    created = {"created": {"gte": int(since.timestamp())}}
    for intent in await till.stripe.intents(account, **created):
        if intent.payment_id and (payment := await paid_by(till, account, intent.id)):
            await ask(till, payment.practice_id, payment.id)
    refunds = await till.stripe.refunds(account, **created)
    disputes = await till.stripe.disputes(account, **created)
    reversed_ = {one.intent_id for one in refunds} | {one.intent_id for one in disputes}
    for intent_id in filter(None, reversed_):
        if payment := await paid_by(till, account, intent_id):
            await ask(till, payment.practice_id, payment.id)
            await reverse(till, payment.practice_id, payment.id)
    for setup_id in await prepared(till, practice_id, since):
        if setup := await keeping.find(till, account, setup_id):
            await keeping.settle(till, setup)


async def prepared(till: Till, practice_id: str, since: dt.datetime) -> list[str]:
    """SetupIntents whose end nobody has told of."""
    async with till.engine.connect() as rows:
        found = await rows.scalars(
            select(CardSetup.stripe_id).where(
                CardSetup.practice_id == practice_id,
                CardSetup.state == SetupState.PREPARED,
                CardSetup.created_at > since,
            )
        )
        return list(found)


async def due(till: Till) -> Row[Any] | None:
    """A practice whose turn it is; no other process takes it as well."""
    now = till.now()
    columns: list[Any] = [Practice.id, Practice.stripe_account, Practice.compared_at]
    its_turn = (
        select(*columns)
        .where(
            Practice.stripe_account.is_not(None),
            or_(Practice.compare_after.is_(None), Practice.compare_after <= now),
        )
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    async with till.engine.begin() as rows:
        practice = (await rows.execute(its_turn)).first()
        if practice is not None:
            taken = update(Practice).where(Practice.id == practice.id)
            await rows.execute(taken.values(compare_after=now + RETRY))
        return practice
