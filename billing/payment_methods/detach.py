"""Detachments: cards that Stripe has to detach, and customers that Stripe has to delete.

A detachment is recorded in the transaction that makes it necessary, and done afterwards. So no card
stays attached if the process ends between the two. It is done once Stripe has detached the card, or
reports that the card is attached to no customer; a customer, once Stripe has deleted it. Any other
result is recorded, and the call is repeated.
"""

import datetime as dt
import logging
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payments import customers
from billing.payments.context import PaymentContext
from billing.payments.customers import Holder
from billing.stripe import Forbidden, Missing, Rejected, StripeTrouble
from models import Detachment
from models.ids import new_id
from models.leases import Excluded, Lease, Queue
from models.upsert import insert_into

# The delay until the next try after Stripe has refused, which may last for days.
AFTER_REFUSAL = dt.timedelta(hours=1)

log = logging.getLogger("portal.payments")
QUEUE = Queue("detachment", Detachment, log, groups=("practice_id",), quiet=(StripeTrouble,))


async def record_detachment(
    conn: AsyncConnection,
    holder: Holder,
    stripe_id: str,
    now: dt.datetime,
    *,
    is_customer: bool = False,
) -> None:
    """Record a card that Stripe has to detach once this transaction is committed, or a customer
    that Stripe has to delete.
    """
    written = insert_into(conn, Detachment).values(
        practice_id=holder.practice_id,
        id=new_id(),
        client_id=holder.client_id,
        contact_id=holder.contact_id,
        stripe_account=holder.account,
        stripe_id=stripe_id,
        is_customer=is_customer,
        created_at=now,
        checked_at=now - AFTER_REFUSAL,
    )
    await conn.execute(written.on_conflict_do_nothing())


async def is_recorded(conn: AsyncConnection, holder: Holder, stripe_id: str) -> bool:
    """Return whether a card is recorded as to be detached, or as detached."""
    found = await conn.scalar(
        select(Detachment.id).where(
            Detachment.practice_id == holder.practice_id,
            Detachment.stripe_account == holder.account,
            Detachment.stripe_id == stripe_id,
        )
    )
    return found is not None


async def detach_cards(context: PaymentContext) -> int:
    """Have Stripe detach the recorded cards. Return the number of tries."""

    async def claim(but: Excluded) -> Lease | None:
        now = context.now()
        is_due = or_(Detachment.trouble.is_(None), Detachment.checked_at <= now - AFTER_REFUSAL)
        waiting = Detachment.done_at.is_(None), is_due
        order = [Detachment.checked_at]
        return await QUEUE.claim(context.engine, but, *waiting, order=order, checked_at=now)

    return await QUEUE.run(context.engine, claim, lambda one: attempt(context, one))


async def attempt(context: PaymentContext, detachment: Row[Any]) -> None:
    """Detach a card, or record why Stripe didn't. A call without a response is only repeated."""
    done: dict[str, Any] = {"done_at": context.now(), "trouble": None}
    try:
        if not await detach(context, detachment):
            done = {"trouble": "STILL_ATTACHED"}
    except StripeTrouble as trouble:
        if refusal_reason(trouble) is None:
            raise
        done = {"trouble": refusal_reason(trouble)}
    if done["trouble"] is not None:
        what = "customer %s is not deleted" if detachment.is_customer else "card %s stays attached"
        log.error(f"alert: {what} at Stripe: %s", detachment.id, done["trouble"])
    mine = (Detachment.practice_id == detachment.practice_id) & (Detachment.id == detachment.id)
    async with context.engine.begin() as conn:
        await conn.execute(update(Detachment).where(mine).values(done))


def refusal_reason(trouble: StripeTrouble) -> str | None:
    """Return the reason for Stripe's refusal, or None if Stripe gave no response."""
    return str(trouble) if isinstance(trouble, Rejected | Forbidden) else None


async def detach(context: PaymentContext, detachment: Row[Any]) -> bool:
    """Return whether the card is now detached, or the customer deleted. Ask Stripe after a refusal
    to detach, which alone proves nothing.
    """
    account, stripe_id = detachment.stripe_account, detachment.stripe_id
    if detachment.is_customer:
        await delete_customer(context, detachment)
        return True
    try:
        await context.stripe.detach(account, stripe_id)
    except Missing:
        return True
    except Rejected:
        return not await is_attached(context, account, stripe_id)
    return True


async def delete_customer(context: PaymentContext, detachment: Row[Any]) -> None:
    """Have Stripe delete a customer, which detaches its cards. It may be deleted already."""
    account, customer_id = detachment.stripe_account, detachment.stripe_id
    with suppress(Missing):
        await context.stripe.delete_customer(account, customer_id)
    holder = Holder(detachment.practice_id, detachment.client_id, detachment.contact_id, account)
    await customers.mark_deleted(context, holder, customer_id)


async def is_attached(context: PaymentContext, account: str, stripe_id: str) -> bool:
    """Return whether Stripe has the card attached to a customer that is not deleted."""
    try:
        card = await context.stripe.method(account, stripe_id)
    except Missing:
        return False
    return card.customer is not None and not await customers.is_deleted(
        context, account, card.customer
    )
