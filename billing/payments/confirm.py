"""Steps A, T2 and B: drive a payment on, read its result from Stripe, or give it up.

Each function returns the known state of the payment. If the result is unknown, the next caller
continues. No transaction is held open during a request to Stripe.
"""

import contextlib
import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, update

from billing.audit_log import record
from billing.ledger.versions import stamp
from billing.payment_methods import sync
from billing.payments import customers
from billing.payments.context import AT_REST, Till, locked, payment
from billing.payments.customers import Owner
from billing.payments.settle import change, fold
from billing.stripe import Declined, Order, Rejected, StripeTrouble, Unknown
from billing.stripe.objects import Intent, IntentStatus
from models import DeclineReason, Payment, PaymentMethod, PaymentRefusal, PaymentState

# How often Stripe is asked again if a newer result was written in the meantime.
ROUNDS = 5
REFUSALS = {
    "amount_too_small": PaymentRefusal.AMOUNT_TOO_SMALL,
    "amount_too_large": PaymentRefusal.AMOUNT_TOO_LARGE,
}

log = logging.getLogger("portal.payments")


@dataclass(frozen=True)
class Standing:
    """The known state of a payment. With `client_secret` the cardholder has to authenticate with
    the bank.
    """

    payment_id: str
    state: PaymentState
    reason: DeclineReason | None
    refusal: PaymentRefusal | None = None
    client_secret: str | None = None


async def drive(till: Till, practice_id: str, payment_id: str, token: str | None) -> Standing:
    """Charge a payment. `token` is a new card's confirmation token, ignored once one was used."""
    paying = await find(till, practice_id, payment_id)
    if paying.state is PaymentState.CREATED:
        if not await announce(till, paying):
            return await standing(till, practice_id, payment_id)
        paying = await find(till, practice_id, payment_id)
    elif paying.state is not PaymentState.CONFIRMING or paying.payment_method_id is None:
        return await ask(till, practice_id, payment_id)
    return await confirm(till, paying, token)


async def announce(till: Till, paying: Row[Any]) -> bool:
    """Run steps A and T2. Return whether the payment is now CONFIRMING, with a
    PaymentIntent's id.
    """
    try:
        intent = await create(till, paying)
    except Unknown:
        return False
    except Rejected as rejected:
        refusal = REFUSALS.get(rejected.code, PaymentRefusal.PAYMENTS_UNAVAILABLE)
        if refusal is PaymentRefusal.PAYMENTS_UNAVAILABLE:
            log.error("alert: stripe refused to begin payment %s: %s", paying.id, rejected.code)
        await give_up_unannounced(till, paying, refusal)
        return False
    async with till.engine.begin() as conn:
        # If the payment was given up in the meantime, nothing will ever confirm the intent.
        unannounced = (
            update(Payment)
            .where(
                Payment.practice_id == paying.practice_id,
                Payment.id == paying.id,
                Payment.stripe_id.is_(None),
                Payment.state == PaymentState.CREATED,
            )
            .values(
                stripe_id=intent.id,
                state=PaymentState.CONFIRMING,
                changed_at=till.now(),
                checked_at=till.now(),
            )
        )
        return bool((await conn.execute(unannounced)).rowcount)


async def create(till: Till, paying: Row[Any]) -> Intent:
    """Create the PaymentIntent, with a new customer if Stripe has deleted the old one."""
    if not paying.save_card and paying.payment_method_id is None:
        return await till.stripe.create(order(paying, None))
    owner = Owner(paying.practice_id, paying.client_id, paying.stripe_account)
    return await customers.naming(
        till, owner, lambda customer: till.stripe.create(order(paying, customer))
    )


def order(paying: Row[Any], customer: str | None) -> Order:
    return Order(
        paying.id,
        paying.practice_id,
        paying.stripe_account,
        paying.amount_minor,
        paying.currency,
        customer,
        bool(paying.save_card),
    )


async def confirm(till: Till, paying: Row[Any], token: str | None) -> Standing:
    """Run steps B and T3."""
    account, method = paying.stripe_account, None
    if paying.payment_method_id is not None and not paying.save_card:
        method = await stripe_method(till, paying)
    try:
        intent = await till.stripe.confirm(
            paying.id, account, paying.stripe_id, method=method, token=token
        )
    except Declined as declined:
        return await fence(till, paying, declined.reason)
    except Rejected:
        # The card was used before, expired or detached, or another call confirmed or cancelled it.
        if method is not None:
            await look_after(till, account, method)
        return await ask(till, paying.practice_id, paying.id, rejected=True)
    except Unknown:
        return await standing(till, paying.practice_id, paying.id)
    return await settle(till, paying, intent)


async def look_after(till: Till, account: str, method: str) -> None:
    """Update a saved card that Stripe would not charge: it may be detached there."""
    with contextlib.suppress(StripeTrouble):
        await sync.follow(till, account, method)


async def stripe_method(till: Till, paying: Row[Any]) -> str:
    async with till.engine.connect() as conn:
        found = await conn.execute(
            PaymentMethod.__table__.select().where(
                PaymentMethod.practice_id == paying.practice_id,
                PaymentMethod.id == paying.payment_method_id,
            )
        )
        return str(found.one().stripe_id)


# -- reading from Stripe ---------------------------------------------------------------------------


async def ask(till: Till, practice_id: str, payment_id: str, *, rejected: bool = False) -> Standing:
    """Read the payment from Stripe and write the result. Return the known state without an answer.

    `rejected` states that Stripe refused to confirm the payment.
    """
    try:
        return await look(till, practice_id, payment_id, rejected=rejected)
    except (Unknown, Rejected):
        return await standing(till, practice_id, payment_id)


async def look(
    till: Till, practice_id: str, payment_id: str, *, rejected: bool = False
) -> Standing:
    """Do as `ask`, but raise Unknown or Rejected if Stripe gives no result."""
    for _ in range(ROUNDS):
        asked = await find(till, practice_id, payment_id)
        if asked.stripe_id is None or asked.state is PaymentState.SUCCEEDED:
            return known(asked)
        intent = await till.stripe.intent(asked.stripe_account, asked.stripe_id)
        if is_unconfirmed(intent) and (rejected or intent.decline is not None):
            return await fence(till, asked, intent.decline or DeclineReason.GENERIC)
        if asked.state in AT_REST and is_open(intent):
            # The payment was ended here while Stripe was unreachable, and may still be charged.
            return await fence(till, asked, None)
        if await fold(till, asked, intent):
            return await standing(till, practice_id, payment_id, intent)
    raise Unknown("newer results were written each time")


def is_unconfirmed(intent: Intent) -> bool:
    """Return whether nothing is under way at the bank."""
    return intent.status in (
        IntentStatus.REQUIRES_PAYMENT_METHOD,
        IntentStatus.REQUIRES_CONFIRMATION,
    )


def is_open(intent: Intent) -> bool:
    """Return whether the money may still move."""
    return intent.status not in (IntentStatus.SUCCEEDED, IntentStatus.CANCELED)


async def settle(till: Till, paying: Row[Any], intent: Intent) -> Standing:
    """Write Stripe's result. Fence a declined payment first, and read a stale one again."""
    if is_unconfirmed(intent) and intent.decline is not None:
        return await fence(till, paying, intent.decline)
    if not await fold(till, paying, intent):
        return await ask(till, paying.practice_id, paying.id)
    return await standing(till, paying.practice_id, paying.id, intent)


# -- giving up -------------------------------------------------------------------------------------


async def give_up(till: Till, practice_id: str, payment_id: str) -> Standing:
    """End a payment. If the money moved first, the payment has succeeded."""
    paying = await find(till, practice_id, payment_id)
    if till.by is not None:
        # The actor is recorded before the payment is given up, in case a later step fails.
        async with locked(till, practice_id, paying.client_id) as conn:
            await record(conn, till.by, paying.client_id, till.now())
    if paying.state is PaymentState.CREATED:
        await give_up_unannounced(till, paying)
        paying = await find(till, practice_id, payment_id)
    if paying.stripe_id is None or paying.state in AT_REST:
        return known(paying)
    return await fence(till, paying, None)


async def give_up_unannounced(
    till: Till, paying: Row[Any], refusal: PaymentRefusal | None = None
) -> None:
    """End a payment without a known PaymentIntent. T2's condition ensures that none follows."""
    async with locked(till, paying.practice_id, paying.client_id) as conn:
        now = await payment(conn, paying.practice_id, paying.id)
        if now.state is PaymentState.CREATED:
            await change(
                conn,
                paying.practice_id,
                paying.id,
                PaymentState.CANCELED,
                till.now(),
                refusal=refusal,
            )
            await stamp(conn, paying.practice_id, paying.id)


async def fence(till: Till, paying: Row[Any], reason: DeclineReason | None) -> Standing:
    """Cancel the PaymentIntent, so that no late charge can follow, and then release the
    invoices.
    """
    try:
        intent = await till.stripe.cancel(paying.stripe_account, paying.stripe_id)
    except Rejected:
        # It is cancelled already, or the money moved, or the bank is processing it.
        return await after_all(till, paying, reason)
    except Unknown:
        return await standing(till, paying.practice_id, paying.id)
    await fold(till, paying, intent, reason)
    return await standing(till, paying.practice_id, paying.id)


async def after_all(till: Till, paying: Row[Any], reason: DeclineReason | None) -> Standing:
    try:
        intent = await till.stripe.intent(paying.stripe_account, paying.stripe_id)
    except (Unknown, Rejected):
        return await standing(till, paying.practice_id, paying.id)
    if not is_unconfirmed(intent):
        await fold(till, paying, intent, reason)
    return await standing(till, paying.practice_id, paying.id, intent)


# -- the known state -------------------------------------------------------------------------------


async def find(till: Till, practice_id: str, payment_id: str) -> Row[Any]:
    async with till.engine.connect() as conn:
        return await payment(conn, practice_id, payment_id)


async def standing(
    till: Till, practice_id: str, payment_id: str, intent: Intent | None = None
) -> Standing:
    return known(await find(till, practice_id, payment_id), intent)


def known(paying: Row[Any], intent: Intent | None = None) -> Standing:
    waits = paying.state is PaymentState.REQUIRES_ACTION and intent is not None
    secret = intent.client_secret if waits and intent else None
    return Standing(paying.id, paying.state, paying.failure_reason, paying.refusal, secret)
