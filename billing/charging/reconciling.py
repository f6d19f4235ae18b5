"""Brings payments to rest that nobody drives any more. It reads and cancels; it never charges."""

import datetime as dt
from typing import Any

from sqlalchemy import Row, select, update

from billing.charging.driving import ask, find, give_up, is_unconfirmed
from billing.gateway import Rejected, Unknown
from billing.till import Till
from models import ACTIVE_STATES, Payment, PaymentState

EVERY_S = 15.0
# A payment that nobody has touched for so long is looked at.
UNTOUCHED = dt.timedelta(seconds=60)
# So long a cardholder may take to confirm a payment to the bank.
PATIENCE = dt.timedelta(minutes=30)
AT_A_TIME = 50


async def reconcile(till: Till) -> int:
    """Look at the payments that are untouched; how many there were."""
    payments = await untouched(till)
    for payment in payments:
        await converge(till, payment)
    return len(payments)


async def untouched(till: Till) -> list[Row[Any]]:
    """Payments of any practice, touched by this: no other process takes them as well."""
    now = till.now()
    waiting = (
        select(Payment.id)
        .where(Payment.state.in_(ACTIVE_STATES), Payment.checked_at <= now - UNTOUCHED)
        .order_by(Payment.checked_at)
        .limit(AT_A_TIME)
        .with_for_update(skip_locked=True)
    )
    mine = update(Payment).where(Payment.id.in_(waiting)).values(checked_at=now)
    async with till.engine.begin() as rows:
        return list(await rows.execute(mine.returning(*Payment.__table__.c)))


async def converge(till: Till, payment: Row[Any]) -> None:
    if payment.state is PaymentState.CREATED:
        await give_up(till, payment.practice_id, payment.id)
        return
    asked = await ask(till, payment.practice_id, payment.id)
    if await is_abandoned(till, payment, asked.state):
        await give_up(till, payment.practice_id, payment.id)


async def is_abandoned(till: Till, payment: Row[Any], state: PaymentState) -> bool:
    """Whether nobody will go on: it was never confirmed, or the cardholder is gone."""
    if state is PaymentState.REQUIRES_ACTION:
        return bool(till.now() - payment.changed_at >= PATIENCE)
    if state is not PaymentState.CONFIRMING:
        return False
    now = await find(till, payment.practice_id, payment.id)
    try:
        return is_unconfirmed(await till.stripe.intent(now.stripe_account, now.stripe_id))
    except (Unknown, Rejected):
        return False
