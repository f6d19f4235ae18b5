"""Steps A, T2 and B: drive a payment on, read its result from Stripe, or give it up.

Each function returns the known state of the payment. If the result is unknown, the next caller
continues. No transaction is held open during a request to Stripe.
"""

import contextlib
import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from billing.audit_log import record
from billing.ledger.versions import stamp
from billing.payment_methods import sync
from billing.payments import customers, states
from billing.payments.context import PaymentContext, client_lock, read_payment
from billing.payments.customers import owner_of_row
from billing.payments.settle import apply_intent, change_state
from billing.payments.states import StateChanged
from billing.stripe import Declined, Order, Rejected, StripeTrouble, Unknown
from billing.stripe.objects import Intent, IntentStatus
from models import (
    ENDED_STATES,
    DeclineReason,
    Payment,
    PaymentMethod,
    PaymentRefusal,
    PaymentState,
)

# How often Stripe is asked again if a newer result was written in the meantime.
ROUNDS = 5
REFUSALS = {
    "amount_too_small": PaymentRefusal.AMOUNT_TOO_SMALL,
    "amount_too_large": PaymentRefusal.AMOUNT_TOO_LARGE,
}

log = logging.getLogger("portal.payments")


@dataclass(frozen=True)
class PaymentSnapshot:
    """The known state of a payment. With `client_secret` the cardholder has to authenticate with
    the bank.
    """

    payment_id: str
    state: PaymentState
    reason: DeclineReason | None
    refusal: PaymentRefusal | None = None
    client_secret: str | None = None


async def advance(
    context: PaymentContext, practice_id: str, payment_id: str, token: str | None
) -> PaymentSnapshot:
    """Charge a payment. `token` is a new card's confirmation token, ignored once one was used."""
    paying = await find_payment(context, practice_id, payment_id)
    if paying.state is PaymentState.CREATED:
        if not await mark_confirming(context, paying):
            return await snapshot(context, practice_id, payment_id)
        paying = await find_payment(context, practice_id, payment_id)
    elif paying.state is not PaymentState.CONFIRMING or paying.payment_method_id is None:
        return await read_from_stripe(context, practice_id, payment_id)
    return await confirm_payment(context, paying, token)


async def mark_confirming(context: PaymentContext, paying: Row[Any]) -> bool:
    """Run steps A and T2. Return whether the payment is now CONFIRMING, with a
    PaymentIntent's id.
    """
    try:
        intent = await create_payment_intent(context, paying)
    except Unknown:
        return False
    except Rejected as rejected:
        refusal = REFUSALS.get(rejected.code, PaymentRefusal.PAYMENTS_UNAVAILABLE)
        if refusal is PaymentRefusal.PAYMENTS_UNAVAILABLE:
            log.error("alert: stripe refused to begin payment %s: %s", paying.id, rejected.code)
        await give_up_unannounced(context, paying, refusal)
        return False
    async with context.engine.begin() as conn:
        # If the payment was given up in the meantime, nothing will ever confirm the intent.
        return await states.change(
            conn,
            (
                Payment.practice_id == paying.practice_id,
                Payment.id == paying.id,
                Payment.stripe_id.is_(None),
            ),
            PaymentState.CREATED,
            PaymentState.CONFIRMING,
            context.now(),
            stripe_id=intent.id,
            checked_at=context.now(),
        )


async def create_payment_intent(context: PaymentContext, paying: Row[Any]) -> Intent:
    """Create the PaymentIntent, with a new customer if Stripe has deleted the old one."""
    account = paying.stripe_account
    if not paying.save_card and paying.payment_method_id is None:
        return await context.stripe.create(account, order(paying, None))
    # A saved card may be another person's who shares it: Stripe has it with that customer.
    saver = paying if paying.save_card else await saved_card(context, paying)
    return await customers.call_with_customer(
        context,
        owner_of_row(saver).holder,
        lambda customer: context.stripe.create(account, order(paying, customer)),
    )


def order(paying: Row[Any], customer: str | None) -> Order:
    return Order(
        paying.id,
        paying.practice_id,
        paying.client_id,
        paying.amount_minor,
        paying.currency,
        paying.contact_id,
        paying.invoice_id,
        customer,
        bool(paying.save_card),
        bool(paying.make_default),
        paying.consent_version,
    )


async def confirm_payment(
    context: PaymentContext, paying: Row[Any], token: str | None
) -> PaymentSnapshot:
    """Run steps B and T3."""
    account, method = paying.stripe_account, None
    if paying.payment_method_id is not None and not paying.save_card:
        method = str((await saved_card(context, paying)).stripe_id)
    try:
        intent = await context.stripe.confirm(
            paying.id, account, paying.stripe_id, method=method, token=token
        )
    except Declined as declined:
        return await fence(context, paying, declined.reason)
    except Rejected:
        # The card was used before, expired or detached, or another call confirmed or cancelled it.
        if method is not None:
            await refresh_card(context, account, method)
        return await read_from_stripe(context, paying.practice_id, paying.id, rejected=True)
    except Unknown:
        return await snapshot(context, paying.practice_id, paying.id)
    return await settle_result(context, paying, intent)


async def refresh_card(context: PaymentContext, account: str, method: str) -> None:
    """Update a saved card that Stripe would not charge: it may be detached there."""
    with contextlib.suppress(StripeTrouble):
        await sync.sync_card(context, account, method)


async def saved_card(context: PaymentContext, paying: Row[Any]) -> Row[Any]:
    """Return the card that the payment is made with, which may be off file by now."""
    async with context.engine.connect() as conn:
        result = await conn.execute(
            PaymentMethod.__table__.select().where(
                PaymentMethod.practice_id == paying.practice_id,
                PaymentMethod.id == paying.payment_method_id,
            )
        )
        return result.one()


# -- reading from Stripe ---------------------------------------------------------------------------


async def read_from_stripe(
    context: PaymentContext, practice_id: str, payment_id: str, *, rejected: bool = False
) -> PaymentSnapshot:
    """Read the payment from Stripe and write the result. Return the known state without an answer.

    `rejected` states that Stripe refused to confirm the payment.
    """
    try:
        return await refresh(context, practice_id, payment_id, rejected=rejected)
    except (Unknown, Rejected):
        return await snapshot(context, practice_id, payment_id)


async def refresh(
    context: PaymentContext, practice_id: str, payment_id: str, *, rejected: bool = False
) -> PaymentSnapshot:
    """Do as `read_from_stripe`, but raise Unknown or Rejected if Stripe gives no result."""
    for _ in range(ROUNDS):
        asked = await find_payment(context, practice_id, payment_id)
        if asked.stripe_id is None or asked.state is PaymentState.SUCCEEDED:
            return known_snapshot(asked)
        intent = await context.stripe.intent(asked.stripe_account, asked.stripe_id)
        if is_unconfirmed(intent) and (rejected or intent.decline is not None):
            return await fence(context, asked, intent.decline or DeclineReason.GENERIC)
        if asked.state in ENDED_STATES and may_still_move(intent):
            # The payment was ended here while Stripe was unreachable, and may still be charged.
            return await fence(context, asked, None)
        if await apply_intent(context, asked, intent):
            return await snapshot(context, practice_id, payment_id, intent)
    raise Unknown("newer results were written each time")


def is_unconfirmed(intent: Intent) -> bool:
    """Return whether nothing is under way at the bank."""
    return intent.status in (
        IntentStatus.REQUIRES_PAYMENT_METHOD,
        IntentStatus.REQUIRES_CONFIRMATION,
    )


def may_still_move(intent: Intent) -> bool:
    """Return whether the money may still move."""
    return intent.status not in (IntentStatus.SUCCEEDED, IntentStatus.CANCELED)


async def settle_result(
    context: PaymentContext, paying: Row[Any], intent: Intent
) -> PaymentSnapshot:
    """Write Stripe's result. Fence a declined payment first, and read a stale one again."""
    if is_unconfirmed(intent) and intent.decline is not None:
        return await fence(context, paying, intent.decline)
    if not await apply_intent(context, paying, intent):
        return await read_from_stripe(context, paying.practice_id, paying.id)
    return await snapshot(context, paying.practice_id, paying.id, intent)


# -- giving up -------------------------------------------------------------------------------------


async def cancel_or_settle(
    context: PaymentContext, practice_id: str, payment_id: str
) -> PaymentSnapshot:
    """End a payment. If the money moved first, the payment has succeeded."""
    paying = await find_payment(context, practice_id, payment_id)
    if context.actor is not None:
        # The actor is recorded before the payment is given up, in case a later step fails.
        async with client_lock(context, practice_id, paying.client_id) as conn:
            await record(conn, context.actor, paying.client_id, context.now())
    if paying.state is PaymentState.CREATED:
        await give_up_unannounced(context, paying)
        paying = await find_payment(context, practice_id, payment_id)
    if paying.stripe_id is None or paying.state in ENDED_STATES:
        return known_snapshot(paying)
    return await fence(context, paying, None)


async def give_up_unannounced(
    context: PaymentContext, paying: Row[Any], refusal: PaymentRefusal | None = None
) -> None:
    """End a payment without a known PaymentIntent. T2's condition ensures that none follows.

    T2 doesn't lock the client, so it may commit an id meanwhile: the payment then stays as it is.
    """
    with contextlib.suppress(StateChanged):
        async with client_lock(context, paying.practice_id, paying.client_id) as conn:
            now = await read_payment(conn, paying.practice_id, paying.id)
            if now.state is PaymentState.CREATED:
                await change_state(conn, now, PaymentState.CANCELED, context.now(), refusal=refusal)
                await stamp(conn, paying.practice_id, paying.id)


async def fence(
    context: PaymentContext, paying: Row[Any], reason: DeclineReason | None
) -> PaymentSnapshot:
    """Cancel the PaymentIntent, so that no late charge can follow, and then release the
    invoices.
    """
    try:
        intent = await context.stripe.cancel(paying.stripe_account, paying.stripe_id)
    except Rejected:
        # It is cancelled already, or the money moved, or the bank is processing it.
        return await result_after_fence(context, paying, reason)
    except Unknown:
        return await snapshot(context, paying.practice_id, paying.id)
    await apply_intent(context, paying, intent, reason)
    return await snapshot(context, paying.practice_id, paying.id)


async def result_after_fence(
    context: PaymentContext, paying: Row[Any], reason: DeclineReason | None
) -> PaymentSnapshot:
    try:
        intent = await context.stripe.intent(paying.stripe_account, paying.stripe_id)
    except (Unknown, Rejected):
        return await snapshot(context, paying.practice_id, paying.id)
    if not is_unconfirmed(intent):
        await apply_intent(context, paying, intent, reason)
    return await snapshot(context, paying.practice_id, paying.id, intent)


# -- the known state -------------------------------------------------------------------------------


async def find_payment(context: PaymentContext, practice_id: str, payment_id: str) -> Row[Any]:
    async with context.engine.connect() as conn:
        return await read_payment(conn, practice_id, payment_id)


async def snapshot(
    context: PaymentContext, practice_id: str, payment_id: str, intent: Intent | None = None
) -> PaymentSnapshot:
    return known_snapshot(await find_payment(context, practice_id, payment_id), intent)


def known_snapshot(paying: Row[Any], intent: Intent | None = None) -> PaymentSnapshot:
    waits = paying.state is PaymentState.REQUIRES_ACTION and intent is not None
    secret = intent.client_secret if waits and intent else None
    return PaymentSnapshot(paying.id, paying.state, paying.failure_reason, paying.refusal, secret)
