"""The inbox of webhook events. An event is only a hint: the state itself is read from Stripe.

An event is stored first. It is handled after the response, by any of the serving processes.
"""

import asyncio
import logging
from typing import Any

from sqlalchemy import Row, select, update

from billing.payment_methods import setup_finish, sync
from billing.payments.confirm import refresh
from billing.payments.context import PaymentContext
from billing.payments.reversals import reverse
from billing.payments.status import OWN
from billing.payments.stripe_accounts import accounts
from billing.stripe import StripeTrouble
from billing.stripe.objects import Event
from models import Payment, StripeEvent
from models.database import every_practice
from models.leases import Excluded, Lease, Queue
from models.upsert import insert_into

# Events about reversed money.
REVERSALS = ("charge.refund", "charge.dispute", "refund.")

log = logging.getLogger("portal.payments")
QUEUE = Queue(
    "event",
    StripeEvent,
    log,
    at_once=8,
    together="object_id",
    groups=("practice_id", "account"),
    quiet=(StripeTrouble,),
)


async def receive(context: PaymentContext, event: Event) -> None:
    """Store the event, unless it is stored already."""
    async with every_practice(context.engine) as conn:
        written = insert_into(conn, StripeEvent).values(
            id=event.id,
            account=event.account,
            type=event.type,
            object_id=event.object_id,
            practice_id=event.practice_id,
            received_at=context.now(),
        )
        await conn.execute(written.on_conflict_do_nothing(index_elements=["id"]))


async def handle_waiting(context: PaymentContext, news: asyncio.Event | None = None) -> int:
    """Handle the waiting events, and those that `news` signals during the run. Return
    their number.
    """
    waiting = StripeEvent.handled_at.is_(None)

    async def claim(but: Excluded) -> Lease | None:
        return await QUEUE.claim(context.engine, but, waiting, order=[StripeEvent.received_at])

    return await QUEUE.run(context.engine, claim, lambda event: handle(context, event), news)


async def handle(context: PaymentContext, event: Row[Any]) -> None:
    refusal = await read_object(context, event)
    async with context.engine.begin() as conn:
        done = update(StripeEvent).where(StripeEvent.id == event.id)
        await conn.execute(done.values(handled_at=context.now(), refusal=refusal))


async def read_object(context: PaymentContext, event: Row[Any]) -> str | None:
    """Read the event's object from Stripe. Return the reason if the event is refused."""
    account, about = event.account or OWN, event.object_id
    if about is None:
        return None
    if about.startswith("pm_"):
        await sync.sync_card(context, account, about)
    elif about.startswith("cus_"):
        await sync.sync_customer(context, account, about)
    elif about.startswith("seti_"):
        return await follow_setup(context, event, account)
    else:
        return await follow_payment(context, event, account)
    return None


async def follow_payment(context: PaymentContext, event: Row[Any], account: str) -> str | None:
    payment = await paid_by(context, account, event.object_id)
    if payment is None:
        return await reason_to_refuse(context, event)
    await refresh(context, payment.practice_id, payment.id)
    if event.type.startswith(REVERSALS):
        await reverse(context, payment.practice_id, payment.id)
    return None


async def follow_setup(context: PaymentContext, event: Row[Any], account: str) -> str | None:
    setup = await setup_finish.find_setup(context, account, event.object_id)
    if setup is None:
        return await reason_to_refuse(context, event)
    await setup_finish.settle_setup(context, setup)
    return None


async def paid_by(context: PaymentContext, account: str, intent_id: str) -> Row[Any] | None:
    """Return the payment with this PaymentIntent of this account."""
    columns: list[Any] = [Payment.id, Payment.practice_id]
    same = Payment.stripe_id == intent_id, Payment.stripe_account == account
    async with context.engine.connect() as conn:
        return (await conn.execute(select(*columns).where(*same))).first()


async def reason_to_refuse(context: PaymentContext, event: Row[Any]) -> str | None:
    """Return the reason to refuse an event about an unknown object, or None if it is ignored.

    It may belong to another program, or its payment was given up before the id was written. An
    event that names a practice with another account is refused.
    """
    if event.practice_id is None:
        return None
    known = await accounts(context, event.practice_id)
    if not known or (event.account or OWN) in known:
        return None
    log.error("alert: event %s names a practice of another Stripe account", event.id)
    return "ACCOUNT_MISMATCH"
