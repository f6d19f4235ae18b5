"""Stripe's fees, which it often tells after a payment has settled."""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import select, update

from billing.ledger.versions import stamp
from billing.payments.context import PaymentContext, client_lock
from billing.stripe.objects import Intent
from models import Payment, PaymentState


async def store_fees(
    context: PaymentContext,
    practice_id: str,
    account: str,
    since: dt.datetime,
    intents: Sequence[Intent],
) -> None:
    """Write the fees that Stripe has told by now, of payments that began since a time."""
    fees = {intent.id: intent.fee_minor for intent in intents if intent.fee_minor is not None}
    unknown = (
        Payment.practice_id == practice_id,
        Payment.stripe_account == account,
        Payment.state == PaymentState.SUCCEEDED,
        Payment.processor_fee_minor.is_(None),
    )
    columns = select(Payment.id, Payment.client_id, Payment.stripe_id)
    recent = columns.where(*unknown, Payment.created_at >= since)
    async with context.engine.connect() as conn:
        payments = (await conn.execute(recent.order_by(Payment.id))).all()
    for payment in payments:
        if (fee := fees.get(payment.stripe_id or "")) is None:
            continue
        async with client_lock(context, practice_id, payment.client_id) as conn:
            mine = update(Payment).where(*unknown, Payment.id == payment.id)
            await conn.execute(mine.values(processor_fee_minor=fee))
            await stamp(conn, practice_id, payment.id)
