"""The webhook's inbox. An event is a hint: what is true, Stripe is asked for.

It is written first and handled after the answer, by any of the serving processes.
"""

import datetime as dt
import logging
from typing import Any

from sqlalchemy import Row, select, update

from billing.cards import following, keeping
from billing.charging.accounts import accounts
from billing.charging.driving import look
from billing.charging.reversing import reverse
from billing.gateway import StripeTrouble
from billing.gateway.objects import Event
from billing.payments import OWN
from billing.till import Till
from models import Payment, StripeEvent
from models.inserting import insert_into

# Another worker leaves an event alone for so long after one began with it.
LEASE = dt.timedelta(seconds=60)
AT_A_TIME = 20
# Events of money that went back.
REVERSALS = ("charge.refund", "charge.dispute", "refund.")

log = logging.getLogger("portal.payments")


async def receive(till: Till, event: Event) -> None:
    """Write the event down, if it isn't there yet."""
    now = till.now()
    async with till.engine.begin() as rows:
        written = insert_into(rows, StripeEvent).values(
            id=event.id,
            account=event.account,
            type=event.type,
            object_id=event.object_id,
            practice_id=event.practice_id,
            received_at=now,
            checked_at=now - LEASE,
        )
        await rows.execute(written.on_conflict_do_nothing(index_elements=["id"]))


async def work(till: Till) -> int:
    """Handle the events that wait; how many there were."""
    events = await taken(till)
    for event in events:
        try:
            refusal = await follow(till, event)
        except StripeTrouble:
            continue  # it waits until the lease is over
        async with till.engine.begin() as rows:
            done = update(StripeEvent).where(StripeEvent.id == event.id)
            await rows.execute(done.values(handled_at=till.now(), refusal=refusal))
    return len(events)


async def taken(till: Till) -> list[Row[Any]]:
    """Some events that nobody else is at, theirs for the length of the lease."""
    now = till.now()
    waiting = (
        select(StripeEvent.id)
        .where(StripeEvent.handled_at.is_(None), StripeEvent.checked_at <= now - LEASE)
        .order_by(StripeEvent.checked_at)
        .limit(AT_A_TIME)
        .with_for_update(skip_locked=True)
    )
    mine = update(StripeEvent).where(StripeEvent.id.in_(waiting)).values(checked_at=now)
    async with till.engine.begin() as rows:
        return list(await rows.execute(mine.returning(*StripeEvent.__table__.c)))


async def follow(till: Till, event: Row[Any]) -> str | None:
    """Ask Stripe of what the event is about; why not, where it is refused."""
    account, about = event.account or OWN, event.object_id
    if about is None:
        return None
    if about.startswith("pm_"):
        await following.follow(till, account, about)
    elif about.startswith("cus_"):
        await following.follow_customer(till, account, about)
    elif about.startswith("seti_"):
        return await follow_setup(till, event, account)
    else:
        return await follow_payment(till, event, account)
    return None


async def follow_payment(till: Till, event: Row[Any], account: str) -> str | None:
    payment = await paid_by(till, account, event.object_id)
    if payment is None:
        return await stranger(till, event)
    await look(till, payment.practice_id, payment.id)
    if event.type.startswith(REVERSALS):
        await reverse(till, payment.practice_id, payment.id)
    return None


async def follow_setup(till: Till, event: Row[Any], account: str) -> str | None:
    setup = await keeping.find(till, account, event.object_id)
    if setup is None:
        return await stranger(till, event)
    await keeping.settle(till, setup)
    return None


async def paid_by(till: Till, account: str, intent_id: str) -> Row[Any] | None:
    """Return the payment that has this PaymentIntent of this account."""
    columns: list[Any] = [Payment.id, Payment.practice_id]
    same = Payment.stripe_id == intent_id, Payment.stripe_account == account
    async with till.engine.connect() as conn:
        return (await conn.execute(select(*columns).where(*same))).first()


async def stranger(till: Till, event: Row[Any]) -> str | None:
    """An intent that nothing of the account has: another program's, or one given up before its
    id was written, or one that names a practice whose account this isn't."""
    if event.practice_id is None:
        return None
    known = await accounts(till, event.practice_id)
    if not known or (event.account or OWN) in known:
        return None
    log.error("alert: event %s names a practice of another Stripe account", event.id)
    return "ACCOUNT_MISMATCH"
