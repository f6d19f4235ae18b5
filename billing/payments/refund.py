"""A refund by the practice: its id is committed before money moves, as for a payment.

An operator's refund has a key. The same key always means the same refund, so a refund with a lost
response is resumed by its key. Without a key, a refund of the same amount as an earlier one is
refused, since it may be the same refund requested twice.
"""

import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.audit_log import record
from billing.payments.confirm import find_payment
from billing.payments.context import PaymentContext, client_lock
from billing.payments.reversals import reverse
from billing.payments.states import first
from billing.stripe import Rejected
from billing.stripe.currencies import increment
from models import (
    Allocation,
    EntryKind,
    LedgerEntry,
    Payment,
    PaymentState,
    Refund,
    RefundState,
)
from models.ids import new_id

# The prefix of a refund's id, which is the key if the operator gives none.
PREFIX = "rfd_"


class NotRefunded(Exception):
    """Nothing was given back. The text gives the reason."""


def ignore_begun(_: Row[Any]) -> None:
    """Ignore that a refund has begun."""


async def refund_payment(
    context: PaymentContext,
    payment_id: str,
    amount_minor: int | None = None,
    *,
    invoice_id: str | None = None,
    key: str | None = None,
    begun: Callable[[Row[Any]], None] = ignore_begun,
) -> Row[Any]:
    """Give back an amount of a payment, or the whole rest; return the refund's row.

    With `invoice_id`, no more is given back than the payment paid on this invoice, which is then
    due again. `key` is the operator's; without one the refund's own id is its key. `begun` is
    called with the row before the request to Stripe. Raise NotRefunded, or Unknown if the result is
    unknown: the key then resumes the refund.
    """
    paid = await refundable(context, payment_id)
    # Stripe's reversals are read first, so that money missing in the ledger isn't given back again.
    await reverse(context, paid.practice_id, paid.id)
    asked = await begin_refund(context, paid, amount_minor, key, invoice_id)
    if asked.state is not RefundState.REQUESTED:
        return asked
    begun(asked)
    try:
        await context.stripe.refund(
            asked.stripe_account,
            asked.practice_id,
            asked.id,
            paid.stripe_id,
            asked.amount_minor,
            paid.currency,
            key_hash=hash_of_key(paid.id, asked.key),
            invoice_id=asked.invoice_id,
        )
    except Rejected as rejected:
        await delete_refund(context, asked)
        raise NotRefunded(f"Stripe won't refund it: {rejected}.") from None
    await reverse(context, paid.practice_id, paid.id)
    async with context.engine.connect() as conn:
        return (await conn.execute(select(Refund.__table__).where(*refund_values(asked)))).one()


async def refundable(context: PaymentContext, payment_id: str) -> Row[Any]:
    async with context.engine.connect() as conn:
        practice_id = await conn.scalar(select(Payment.practice_id).where(Payment.id == payment_id))
    if practice_id is None:
        raise NotRefunded("There is no such payment.")
    paid = await find_payment(context, practice_id, payment_id)
    if paid.state is not PaymentState.SUCCEEDED:
        raise NotRefunded(f"The payment is {paid.state}: nothing was taken.")
    if paid.stripe_id is None:
        raise NotRefunded("It was not paid by card here, so nothing can be refunded to a card.")
    return paid


async def begin_refund(
    context: PaymentContext,
    paid: Row[Any],
    amount_minor: int | None,
    key: str | None,
    invoice_id: str | None = None,
) -> Row[Any]:
    """Return the refund that this key began before, or write a new one."""
    async with client_lock(context, paid.practice_id, paid.client_id) as conn:
        await record(conn, context.actor, paid.client_id, context.now())
        refunds = await refunds_of(conn, paid)
        before = find_refund(refunds, key) if key is not None else None
        if before is not None:
            if amount_minor not in (None, before.amount_minor):
                raise NotRefunded("This key has begun a refund of another amount before.")
            if invoice_id not in (None, before.invoice_id):
                raise NotRefunded("This key has begun a refund of another invoice before.")
            return before
        left = await refundable_amount(conn, paid)
        if invoice_id is not None:
            left = min(left, await paid_on_invoice(conn, paid, invoice_id))
        minor = left if amount_minor is None else amount_minor
        refuse_repeated(refunds, minor, key)
        if not 0 < minor <= left:
            raise NotRefunded(
                "The amount must be more than 0, and no more than is left of the payment"
                f"{' on the invoice' if invoice_id else ''}."
            )
        step = increment(paid.currency)
        if minor % step:
            raise NotRefunded(f"{paid.currency} is given back in steps of {step} minor units.")
        return await insert_refund(conn, paid, minor, key, invoice_id, context)


def find_refund(refunds: list[Row[Any]], key: str) -> Row[Any] | None:
    """Return the refund with this key or id. An id can't begin another refund."""
    for one in refunds:
        known = one.key, f"{PREFIX}{one.id}"
        if key in known or one.key == hash_of_key(one.payment_id, key):
            return one
    if key.startswith(PREFIX):
        raise NotRefunded(
            f"The payment has no refund {key}: if Stripe refused it, nothing was given back."
        )
    return None


def hash_of_key(payment_id: str, key: str) -> str:
    """Return the hash of an operator's key, in the form of an id: Stripe is told no more of a key.

    It is the key of a refund that was adopted after a restore.
    """
    return str(uuid.uuid5(uuid.UUID(payment_id), key))


def refuse_repeated(refunds: list[Row[Any]], minor: int, key: str | None) -> None:
    """Raise NotRefunded for a refund that may repeat an earlier one."""
    for earlier in refunds:
        if earlier.state is RefundState.REQUESTED:
            raise NotRefunded(
                "An earlier refund of this payment has no answer yet. Resume it first:"
                f" --key {earlier.key}"
            )
        repeats = earlier.amount_minor == minor and earlier.state is not RefundState.FAILED
        if key is None and repeats:
            raise NotRefunded(
                f"The same amount was given back before, by {PREFIX}{earlier.id}. If it is to be"
                " given back once more, choose a new key: --key REASON"
            )


async def refunds_of(conn: AsyncConnection, paid: Row[Any]) -> list[Row[Any]]:
    """Return the payment's refunds, the latest first."""
    of_payment = Refund.practice_id == paid.practice_id, Refund.payment_id == paid.id
    latest = select(Refund.__table__).where(*of_payment).order_by(Refund.created_at.desc())
    return list(await conn.execute(latest))


async def refundable_amount(conn: AsyncConnection, paid: Row[Any]) -> int:
    """Return the received amount less the refunds."""
    sums = select(func.coalesce(func.sum(LedgerEntry.amount_minor), 0)).where(
        LedgerEntry.practice_id == paid.practice_id,
        LedgerEntry.payment_id == paid.id,
        LedgerEntry.kind.in_((EntryKind.PAYMENT, EntryKind.REFUND)),
    )
    return -int((await conn.execute(sums)).scalar_one())


async def paid_on_invoice(conn: AsyncConnection, paid: Row[Any], invoice_id: str) -> int:
    """Return the part of the charge that is allocated to an invoice."""
    part = select(func.coalesce(func.sum(Allocation.amount_minor), 0)).where(
        Allocation.practice_id == paid.practice_id,
        Allocation.payment_id == paid.id,
        Allocation.invoice_id == invoice_id,
        ~Allocation.is_credit,
    )
    return int((await conn.execute(part)).scalar_one())


async def insert_refund(
    conn: AsyncConnection,
    paid: Row[Any],
    minor: int,
    key: str | None,
    invoice_id: str | None,
    context: PaymentContext,
) -> Row[Any]:
    refund_id, now = new_id(), context.now()
    new = insert(Refund).values(
        practice_id=paid.practice_id,
        id=refund_id,
        client_id=paid.client_id,
        payment_id=paid.id,
        amount_minor=minor,
        **first(RefundState.REQUESTED),
        key=key or f"{PREFIX}{refund_id}",
        invoice_id=invoice_id,
        stripe_account=paid.stripe_account,
        created_at=now,
        changed_at=now,
    )
    return (await conn.execute(new.returning(*Refund.__table__.c))).one()


async def delete_refund(context: PaymentContext, refund: Row[Any]) -> None:
    """Delete a refund that Stripe has refused."""
    async with context.engine.begin() as conn:
        unanswered = Refund.state == RefundState.REQUESTED
        await conn.execute(delete(Refund).where(*refund_values(refund), unanswered))


def refund_values(refund: Row[Any]) -> tuple[Any, ...]:
    return Refund.practice_id == refund.practice_id, Refund.id == refund.id
