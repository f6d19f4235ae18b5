"""The end of a payment by the practice's operator, when Stripe no longer gives its state."""

import logging
from typing import Any

from sqlalchemy import Row, select, update

from billing.audit_log import record
from billing.ledger.versions import stamp
from billing.payments.confirm import cancel_or_settle, find_payment
from billing.payments.context import PaymentContext, client_lock, read_payment
from billing.payments.settle import change_state
from billing.stripe import Forbidden, Missing, Unknown
from models import ENDED_STATES, Payment, PaymentState

log = logging.getLogger("portal.payments")


class NotEnded(Exception):
    """The payment is unchanged. The text gives the reason."""


async def force_end(context: PaymentContext, payment_id: str, because: str) -> PaymentState:
    """End a payment and return its state.

    If Stripe answers, the payment is given up as a client would do it. If Stripe refuses the
    request, as after a deauthorised account, the payment is cancelled here with the operator's
    reason. If the account returns, the daily comparison cancels the payment at Stripe, or finds
    that the money moved.
    """
    async with context.engine.connect() as conn:
        practice_id = await conn.scalar(select(Payment.practice_id).where(Payment.id == payment_id))
    if practice_id is None:
        raise NotEnded("There is no such payment.")
    row = await find_payment(context, practice_id, payment_id)
    if row.state in ENDED_STATES:
        raise NotEnded(f"The payment is over: it is {row.state}.")
    if row.stripe_id is not None:
        try:
            await context.stripe.intent(row.stripe_account, row.stripe_id)
        except (Forbidden, Missing):
            return await cancel_unanswered(context, row, because)
        except Unknown:
            raise NotEnded("Stripe doesn't answer at the moment: try again later.") from None
    return (await cancel_or_settle(context, practice_id, payment_id)).state


async def cancel_unanswered(
    context: PaymentContext, paying: Row[Any], because: str
) -> PaymentState:
    """Cancel a payment without a result from Stripe, and store the reason."""
    practice_id, payment_id = paying.practice_id, paying.id
    async with client_lock(context, practice_id, paying.client_id) as conn:
        row = await read_payment(conn, practice_id, payment_id)
        if row.state in ENDED_STATES:
            return PaymentState(row.state)
        await record(conn, context.actor, paying.client_id, context.now())
        await change_state(conn, row, PaymentState.CANCELED, context.now())
        mine = Payment.practice_id == practice_id, Payment.id == payment_id
        await conn.execute(update(Payment).where(*mine).values(ended_because=because))
        await stamp(conn, practice_id, payment_id)
    log.warning("payment %s was ended by the operator, without Stripe's answer", payment_id)
    return PaymentState.CANCELED
