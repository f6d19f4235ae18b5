"""The reconciler: it ends payments that no request drives any more. It reads and cancels, and never
charges.
"""

import datetime as dt
import logging
from typing import Any

from sqlalchemy import Row

from billing.payments.confirm import (
    cancel_or_settle,
    find_payment,
    is_unconfirmed,
    read_from_stripe,
)
from billing.payments.context import PaymentContext
from billing.stripe import Rejected, StripeTrouble, Unknown
from models import ACTIVE_STATES, Payment, PaymentState
from models.leases import Excluded, Lease, Queue

EVERY_S = 15.0
# A payment that is untouched for this time is checked.
UNTOUCHED = dt.timedelta(seconds=60)
# The time for a cardholder to authenticate a payment with the bank.
PATIENCE = dt.timedelta(minutes=30)
QUEUE = Queue(
    "payment",
    Payment,
    logging.getLogger("portal.payments"),
    groups=("practice_id",),
    quiet=(StripeTrouble,),
)


async def reconcile_untouched(context: PaymentContext) -> int:
    """Check the payments that are untouched. Return their number."""

    async def claim(but: Excluded) -> Lease | None:
        now = context.now()
        untouched = Payment.state.in_(ACTIVE_STATES), Payment.checked_at <= now - UNTOUCHED
        order = [Payment.checked_at]
        return await QUEUE.claim(context.engine, but, *untouched, order=order, checked_at=now)

    return await QUEUE.run(context.engine, claim, lambda payment: converge(context, payment))


async def converge(context: PaymentContext, payment: Row[Any]) -> None:
    if payment.state is PaymentState.CREATED:
        await cancel_or_settle(context, payment.practice_id, payment.id)
        return
    snapshot = await read_from_stripe(context, payment.practice_id, payment.id)
    if await is_abandoned(context, payment, snapshot.state):
        await cancel_or_settle(context, payment.practice_id, payment.id)


async def is_abandoned(context: PaymentContext, payment: Row[Any], state: PaymentState) -> bool:
    """Return whether the payment is abandoned: never confirmed, or never authenticated."""
    if state is PaymentState.REQUIRES_ACTION:
        return bool(context.now() - payment.changed_at >= PATIENCE)
    if state is not PaymentState.CONFIRMING:
        return False
    now = await find_payment(context, payment.practice_id, payment.id)
    try:
        return is_unconfirmed(await context.stripe.intent(now.stripe_account, now.stripe_id))
    except (Unknown, Rejected):
        return False
