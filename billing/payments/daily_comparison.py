"""The daily comparison with Stripe. It finds changes that were reported by no event.

It handles the lost events, reads Stripe's lists of new objects, and reads every row of ours that is
not final.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, func, or_, select, update

from billing.payment_methods import card_comparison
from billing.payments import webhook_inbox
from billing.payments.confirm import refresh
from billing.payments.context import PaymentContext
from billing.payments.processor_fees import store_fees
from billing.payments.reversals import reverse
from billing.payments.stripe_accounts import accounts
from billing.recovery.lost_payments import unknown_here
from billing.recovery.recoveries import stop_payments
from billing.stripe import StripeTrouble
from billing.stripe.objects import Intent
from models import (
    ACTIVE_STATES,
    Dispute,
    DisputeState,
    Payment,
    Practice,
    Refund,
    RefundState,
)
from models.database import DatabaseUnavailable
from models.leases import Excluded, Lease, Queue, first_to_raise

EVERY, RETRY = dt.timedelta(days=1), dt.timedelta(hours=1)
# The range starts before the last comparison, since a refund may belong to an older payment.
OVERLAP = dt.timedelta(days=2)
# The range of the first comparison.
AT_FIRST = dt.timedelta(days=90)
# The time for which Stripe lists events.
EVENTS_KEPT = dt.timedelta(days=30)
# A refund that succeeded may still fail while the bank can return it.
REFUNDS_FAIL_WITHIN = dt.timedelta(days=90)

WITHIN_S, AT_ONCE = 1_800.0, 2
PAYMENT_WITHIN_S = 60.0
# The number of lost payments that a log record names.
NAMED = 5

log = logging.getLogger("portal.payments")
QUEUE = Queue(
    "comparison of practice",
    Practice,
    log,
    within_s=WITHIN_S,
    at_once=AT_ONCE,
    quiet=(StripeTrouble,),
)


class PaymentsLost(Exception):
    """Stripe has payments of a practice that the database has lost."""


async def compare_due(context: PaymentContext) -> int:
    """Compare the practices that were not compared in the last day. Return their number."""

    async def claim(but: Excluded) -> Lease | None:
        now = context.now()
        due = or_(Practice.compare_after.is_(None), Practice.compare_after <= now)
        order = [Practice.compare_after]
        # After a failure the comparison is repeated in an hour.
        retry = {"compare_after": now + RETRY}
        return await QUEUE.claim(context.engine, but, due, order=order, **retry)

    return await QUEUE.run(context.engine, claim, lambda practice: compare_one(context, practice))


async def compare_one(context: PaymentContext, practice: Row[Any]) -> None:
    began = context.now()
    since = (practice.compared_at - OVERLAP) if practice.compared_at else began - AT_FIRST
    await compare_payments(context, practice.id, since)
    statement = update(Practice).where(Practice.id == practice.id)
    async with context.engine.begin() as conn:
        await conn.execute(statement.values(compared_at=began, compare_after=began + EVERY))


async def compare_payments(context: PaymentContext, practice_id: str, since: dt.datetime) -> None:
    """Update every row of a practice that is not final from Stripe.

    A failure in one account doesn't stop the others; one of the failures is raised at the end. Only
    an unreachable database stops the comparison at once. An earlier account of the practice may be
    closed: if Stripe refuses requests about it, that is only logged.
    """
    own, failed = await practice_account(context, practice_id), []
    for account in await accounts(context, practice_id):
        try:
            await compare_account(context, practice_id, account, since)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            log.warning("account %s was not compared: %s", account, type(error).__name__)
            if account == own or not isinstance(error, StripeTrouble):
                failed.append(error)
    if failed:
        raise first_to_raise(failed)


async def compare_account(
    context: PaymentContext, practice_id: str, account: str, since: dt.datetime
) -> None:
    """Handle lost events, and compare all new objects and all rows that may still change.

    A failure of one payment doesn't stop the others; the first failure is raised at the end.
    """
    intents = await context.stripe.intents(account, since)
    await refuse_losses(context, practice_id, intents)
    await store_fees(context, practice_id, account, since, intents)
    for event in await context.stripe.events(account, max(since, context.now() - EVENTS_KEPT)):
        await webhook_inbox.receive(context, event)
    payments = {
        *await changed_payments(context, practice_id, account, since, intents),
        *await unfinished_payments(context, practice_id, account),
    }
    failed = [
        error for one in sorted(payments) if (error := await failure(context, practice_id, one))
    ]
    try:
        await card_comparison.compare_cards(context, practice_id, account)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        failed.append(error)
    if failed:
        raise first_to_raise(failed)


async def refuse_losses(
    context: PaymentContext, practice_id: str, intents: Sequence[Intent]
) -> None:
    """Stop new payments, and raise PaymentsLost, if the database has lost payments that Stripe has.

    It was then restored from a backup. The comparison is repeated until they are recovered.
    """
    lost = await unknown_here(context, practice_id, intents)
    if lost:
        async with context.engine.begin() as conn:
            await stop_payments(conn, practice_id, context.now())
        log.error(
            "alert: Stripe has %s of practice pra_%s, and the database has not: it was restored."
            " No payment begins until `portal recover` has adopted them",
            ", ".join(intent.id for intent in lost[:NAMED]),
            practice_id,
        )
        raise PaymentsLost(practice_id)


async def failure(context: PaymentContext, practice_id: str, payment_id: str) -> Exception | None:
    """Update a payment from Stripe, and return the exception if that failed."""
    try:
        async with asyncio.timeout(PAYMENT_WITHIN_S):
            await refresh(context, practice_id, payment_id)
            await reverse(context, practice_id, payment_id)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        log.warning("payment %s was not compared: %s", payment_id, type(error).__name__)
        return error
    return None


async def changed_payments(
    context: PaymentContext,
    practice_id: str,
    account: str,
    since: dt.datetime,
    intents: Sequence[Intent],
) -> list[str]:
    """Return the practice's payments with new objects at Stripe since a time."""
    found = {intent.id for intent in intents}
    found |= {
        refund.intent_id or "" for refund in await context.stripe.refunds(account, since=since)
    }
    found |= {
        dispute.intent_id or "" for dispute in await context.stripe.disputes(account, since=since)
    }
    paid = [await webhook_inbox.paid_by(context, account, intent_id) for intent_id in sorted(found)]
    return [payment.id for payment in paid if payment and payment.practice_id == practice_id]


async def practice_account(context: PaymentContext, practice_id: str) -> str | None:
    async with context.engine.connect() as conn:
        statement = select(Practice.stripe_account).where(Practice.id == practice_id)
        account: str | None = await conn.scalar(statement)
    return account


async def unfinished_payments(context: PaymentContext, practice_id: str, account: str) -> list[str]:
    """Return the payments that may still change at Stripe, regardless of their age.

    These are payments that are active or were ended without Stripe's answer, payments with an open
    dispute, and payments with a refund that is not certain yet.
    """
    recent = (
        func.coalesce(Refund.refunded_at, Refund.created_at) > context.now() - REFUNDS_FAIL_WITHIN
    )
    refunded = select(Refund.payment_id).where(
        Refund.practice_id == practice_id,
        or_(
            Refund.state.in_((RefundState.REQUESTED, RefundState.PENDING)),
            and_(Refund.state == RefundState.SUCCEEDED, recent),
        ),
    )
    disputed = select(Dispute.payment_id).where(
        Dispute.practice_id == practice_id, Dispute.state == DisputeState.OPEN
    )
    may_change = or_(
        Payment.state.in_(ACTIVE_STATES),
        Payment.ended_because.is_not(None),
        Payment.id.in_(refunded),
        Payment.id.in_(disputed),
    )
    of_account = Payment.practice_id == practice_id, Payment.stripe_account == account
    known = Payment.stripe_id.is_not(None)
    async with context.engine.connect() as conn:
        return list(await conn.scalars(select(Payment.id).where(*of_account, known, may_change)))
