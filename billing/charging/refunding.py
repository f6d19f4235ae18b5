"""A refund by the practice: its id is committed before money moves, as a payment's is.

What was begun and has no end yet is ended first, under the same key: run twice, it is given back
once.
"""

from typing import Any

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.charging.driving import find
from billing.charging.reversing import reverse
from billing.gateway import Rejected
from billing.till import Till, lock
from models import EntryKind, LedgerEntry, Payment, PaymentState, Refund, RefundState
from models.ids import new_id


class NotRefunded(Exception):
    """Nothing was given back; the text says why."""


async def refund(till: Till, payment_id: str, amount_minor: int | None = None) -> Row[Any]:
    """Give back so much of a payment, or all that is left of it; the refund's row.

    NotRefunded, or Unknown if nobody can tell: then the same again ends it.
    """
    paid = await refundable(till, payment_id)
    # What Stripe has that isn't here yet is not there to be given back.
    await reverse(till, paid.practice_id, paid.id)
    refund_id, minor = await begin(till, paid, amount_minor)
    whose = paid.stripe_account, paid.practice_id
    try:
        await till.stripe.refund(*whose, refund_id, paid.stripe_id, minor)
    except Rejected as rejected:
        await forget(till, paid.practice_id, refund_id)
        raise NotRefunded(f"Stripe won't refund it: {rejected}.") from None
    await reverse(till, paid.practice_id, paid.id)
    async with till.engine.connect() as rows:
        mine = Refund.practice_id == paid.practice_id, Refund.id == refund_id
        return (await rows.execute(select(Refund.__table__).where(*mine))).one()


async def refundable(till: Till, payment_id: str) -> Row[Any]:
    async with till.engine.connect() as rows:
        practice_id = await rows.scalar(select(Payment.practice_id).where(Payment.id == payment_id))
    if practice_id is None:
        raise NotRefunded("There is no such payment.")
    paid = await find(till, practice_id, payment_id)
    if paid.state is not PaymentState.SUCCEEDED:
        raise NotRefunded(f"The payment is {paid.state}: nothing was taken.")
    if paid.stripe_id is None:
        raise NotRefunded("It was not paid by card here: nothing can be given back to a card.")
    return paid


async def begin(till: Till, paid: Row[Any], amount_minor: int | None) -> tuple[str, int]:
    """The id and amount of the refund: of one that has no end yet, or a new one's."""
    async with till.engine.begin() as rows:
        await lock(rows, paid.practice_id, paid.client_id)
        before = await unended(rows, paid)
        if before is not None:
            if amount_minor not in (None, before.amount_minor):
                raise NotRefunded(
                    "Another amount was begun and nobody knows its end: run it without --amount."
                )
            return str(before.id), int(before.amount_minor)
        left = await left_of(rows, paid)
        minor = left if amount_minor is None else amount_minor
        if not 0 < minor <= left:
            raise NotRefunded("That is not more than nothing, or more than is left of it.")
        return await write(rows, paid, minor, till), minor


async def unended(rows: AsyncConnection, paid: Row[Any]) -> Row[Any] | None:
    requested = select(Refund.__table__).where(
        Refund.practice_id == paid.practice_id,
        Refund.payment_id == paid.id,
        Refund.state == RefundState.REQUESTED,
    )
    return (await rows.execute(requested)).first()


async def left_of(rows: AsyncConnection, paid: Row[Any]) -> int:
    """What was taken, less what was given back."""
    sums = select(func.coalesce(func.sum(LedgerEntry.amount_minor), 0)).where(
        LedgerEntry.practice_id == paid.practice_id,
        LedgerEntry.payment_id == paid.id,
        LedgerEntry.kind.in_((EntryKind.PAYMENT, EntryKind.REFUND)),
    )
    return -int((await rows.execute(sums)).scalar_one())


async def write(rows: AsyncConnection, paid: Row[Any], minor: int, till: Till) -> str:
    refund_id, now = new_id(), till.now()
    await rows.execute(
        insert(Refund).values(
            practice_id=paid.practice_id,
            id=refund_id,
            client_id=paid.client_id,
            payment_id=paid.id,
            amount_minor=minor,
            state=RefundState.REQUESTED,
            created_at=now,
            changed_at=now,
        )
    )
    return refund_id


async def forget(till: Till, practice_id: str, refund_id: str) -> None:
    """Stripe has not done it: it never was."""
    async with till.engine.begin() as rows:
        await rows.execute(
            delete(Refund).where(
                Refund.practice_id == practice_id,
                Refund.id == refund_id,
                Refund.state == RefundState.REQUESTED,
            )
        )
