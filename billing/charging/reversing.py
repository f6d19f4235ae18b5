"""Refunds and disputes: what Stripe says went back of a payment is written here.

All of a payment's are read from Stripe and written together, as the difference to what is here. So
it doesn't matter which event told of them, how often, or in which order.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.charging.driving import find
from billing.dues import Dues, owed
from billing.gateway.objects import Disputed, Refunded
from billing.reversals import Reversal, Taken, moves, spread
from billing.till import Till, day, lock
from billing.versions import stamp
from models import (
    Allocation,
    Dispute,
    DisputeState,
    EntryKind,
    Invoice,
    LedgerEntry,
    PaymentState,
    Refund,
    RefundState,
)
from models.ids import new_id


@dataclass(frozen=True)
class Book:
    """A payment's account, in one transaction that has locked its client."""

    rows: AsyncConnection
    paid: Row[Any]
    now: dt.datetime

    @property
    def own(self) -> dict[str, str]:
        return {"practice_id": self.paid.practice_id, "client_id": self.paid.client_id}

    @property
    def today(self) -> dt.date:
        return day(self.now, self.paid.time_zone)

    def mine(self, table: Any) -> tuple[Any, ...]:
        return table.practice_id == self.paid.practice_id, table.payment_id == self.paid.id

    async def sum(self, column: Any, *where: Any) -> int:
        total = select(func.coalesce(func.sum(column), 0)).where(*where)
        return int((await self.rows.execute(total)).scalar_one())


async def reverse(till: Till, practice_id: str, payment_id: str) -> None:
    """Write all that went back of a payment; Unknown or Rejected, if Stripe doesn't tell."""
    paid = await find(till, practice_id, payment_id)
    if paid.stripe_id is None or paid.state is not PaymentState.SUCCEEDED:
        return
    asked = paid.stripe_account, {"payment_intent": paid.stripe_id}
    refunds = await till.stripe.refunds(asked[0], **asked[1])
    disputes = await till.stripe.disputes(asked[0], **asked[1])
    if not refunds and not disputes:
        return
    async with till.engine.begin() as rows:
        await lock(rows, practice_id, paid.client_id)
        book = Book(rows, paid, till.now())
        await write(book, refunds, [one for one in disputes if one.state is not None])
        await stamp(rows, practice_id, payment_id)


async def write(book: Book, refunds: Sequence[Refunded], disputes: Sequence[Disputed]) -> None:
    refund_ids = {told.id: await write_refund(book, told) for told in refunds}
    dispute_ids = {told.id: await write_dispute(book, told) for told in disputes}
    holding = [
        *((one.created, one.id, one.amount_minor) for one in refunds if not has_failed(one)),
        *((one.created, one.id, one.amount_minor) for one in disputes if not is_won(one)),
    ]
    reversals = [Reversal(id_, minor) for _, id_, minor in sorted(holding)]
    shares = spread(await put_toward(book), await unused(book), reversals)
    for refund in refunds:
        await enter_refund(book, refund)
        await take_back(book, refund_ids[refund.id], shares.get(refund.id) or Taken())
    for dispute in disputes:
        await adjust(book, dispute, dispute_ids[dispute.id], shares.get(dispute.id) or Taken())


def has_failed(refund: Refunded) -> bool:
    return refund.state is RefundState.FAILED


def is_won(dispute: Disputed) -> bool:
    return dispute.state is DisputeState.WON


# -- their own rows --------------------------------------------------------------------------------


async def write_refund(book: Book, told: Refunded) -> str:
    """The refund's row: the one that was written when it was asked for here, or a new one."""
    known = Refund.stripe_id == told.id
    if told.refund_id is not None:
        known |= (Refund.id == told.refund_id) & Refund.stripe_id.is_(None)
    facts = {"stripe_id": told.id, "state": told.state}
    return await brought_up(book, Refund, known, facts, told.amount_minor)


async def write_dispute(book: Book, told: Disputed) -> str:
    facts = {"stripe_id": told.id, "state": told.state, "amount_minor": told.amount_minor}
    known = Dispute.stripe_id == told.id
    return await brought_up(book, Dispute, known, facts, told.amount_minor)


async def brought_up(
    book: Book, table: type[Refund] | type[Dispute], known: Any, facts: dict[str, Any], minor: int
) -> str:
    """The id of the row, which has these facts now."""
    found = await book.rows.execute(select(table).where(*book.mine(table), known))
    before = found.first()
    if before is None:
        id_, new = new_id(), book.own | {"payment_id": book.paid.id, "amount_minor": minor}
        times = {"created_at": book.now, "changed_at": book.now}
        await book.rows.execute(insert(table).values(new | facts | times | {"id": id_}))
        return id_
    if any(before._mapping[name] != value for name, value in facts.items()):
        mine = update(table).where(table.practice_id == before.practice_id, table.id == before.id)
        await book.rows.execute(mine.values(facts | {"changed_at": book.now}))
    return str(before.id)


# -- what there is to take back --------------------------------------------------------------------


async def put_toward(book: Book) -> list[tuple[str, int]]:
    """What the payment put toward invoices that are valid, refunds apart, in that order."""
    put = func.sum(Allocation.amount_minor)
    found = await book.rows.execute(
        select(Allocation.invoice_id, put)
        .join(
            Invoice,
            (Invoice.practice_id == Allocation.practice_id) & (Invoice.id == Allocation.invoice_id),
        )
        .where(
            *book.mine(Allocation),
            Allocation.refund_id.is_(None),
            ~Allocation.is_credit,
            ~Invoice.is_void,
        )
        .group_by(Allocation.invoice_id, Invoice.issued_on, Invoice.serial)
        .having(put > 0)
        .order_by(Invoice.issued_on, Invoice.serial)
    )
    return [(invoice_id, int(minor)) for invoice_id, minor in found]


async def unused(book: Book) -> int:
    """What of the payment is unused credit still, and not spent on anything since."""
    received = -await book.sum(
        LedgerEntry.amount_minor,
        *book.mine(LedgerEntry),
        LedgerEntry.kind == EntryKind.PAYMENT,
    )
    put = await book.sum(
        Allocation.amount_minor,
        *book.mine(Allocation),
        Allocation.refund_id.is_(None),
        ~Allocation.is_credit,
    )
    credit = (await owed(book.rows, book.paid.practice_id, book.paid.client_id)).credit_minor
    return min(received - put, credit + await taken_before(book))


async def taken_before(book: Book) -> int:
    """What this payment's reversals have taken from unused credit by now."""
    refunded = await book.sum(
        LedgerEntry.amount_minor, *book.mine(LedgerEntry), LedgerEntry.kind == EntryKind.REFUND
    )
    given = await book.sum(
        Allocation.amount_minor, *book.mine(Allocation), Allocation.refund_id.is_not(None)
    )
    adjusted = await book.sum(
        LedgerEntry.amount_minor,
        *book.mine(LedgerEntry),
        LedgerEntry.dispute_id.is_not(None),
        LedgerEntry.invoice_id.is_(None),
    )
    return refunded + given + adjusted


# -- the differences -------------------------------------------------------------------------------


async def enter_refund(book: Book, told: Refunded) -> None:
    """The refund in the ledger; entered again, below zero, if it failed."""
    minor = 0 if has_failed(told) else told.amount_minor
    written = (
        LedgerEntry.kind == EntryKind.REFUND,
        (LedgerEntry.reference == told.id) | LedgerEntry.reference.like(f"{told.id} %"),
    )
    said = "Refund" if minor else "Refund that failed"
    await enter(book, EntryKind.REFUND, told.id, None, minor, said, written)


async def take_back(book: Book, refund_id: str, taken: Taken) -> None:
    """What the refund takes from each invoice, or gives again."""
    minor = func.sum(Allocation.amount_minor)
    found = await book.rows.execute(
        select(Allocation.invoice_id, minor)
        .where(*book.mine(Allocation), Allocation.refund_id == refund_id)
        .group_by(Allocation.invoice_id)
    )
    before = {invoice_id: -int(minor) for invoice_id, minor in found}
    dues = await all_dues(book)
    for invoice_id, more in moves(before, taken.of_invoices, by_id(dues), dues.credit_minor):
        await book.rows.execute(
            insert(Allocation).values(
                **book.own,
                id=new_id(),
                invoice_id=invoice_id,
                payment_id=book.paid.id,
                refund_id=refund_id,
                is_credit=False,
                amount_minor=-more,
                date=book.today,
                created_at=book.now,
            )
        )


async def adjust(book: Book, told: Disputed, dispute_id: str, taken: Taken) -> None:
    """What the bank has taken is due again, of each invoice; no more, once the dispute is won."""
    minor = func.sum(LedgerEntry.amount_minor)
    of_dispute = LedgerEntry.dispute_id == dispute_id
    found = await book.rows.execute(
        select(LedgerEntry.invoice_id, minor)
        .where(*book.mine(LedgerEntry), of_dispute)
        .group_by(LedgerEntry.invoice_id)
    )
    before = {invoice_id: int(minor) for invoice_id, minor in found}
    total = sum(taken.of_invoices.values()) + taken.of_credit
    named = {invoice_id: minor for invoice_id, minor in before.items() if invoice_id is not None}
    dues = await all_dues(book)
    spare = max(0, dues.credit_minor) + sum(before.values()) - total
    after: dict[str | None, int] = dict(named.items())
    for invoice_id, more in moves(named, taken.of_invoices, by_id(dues), spare):
        after[invoice_id] = after.get(invoice_id, 0) + more
    after[None] = total - sum(after.values())
    for of, all_ in after.items():
        said = "Payment disputed" if all_ > before.get(of, 0) else "Dispute won"
        written = of_dispute, LedgerEntry.invoice_id.is_not_distinct_from(of)
        kind = EntryKind.ADJUSTMENT
        await enter(book, kind, told.id, of, all_, said, written, dispute_id=dispute_id)


async def all_dues(book: Book) -> Dues:
    own = book.paid.practice_id, book.paid.client_id
    return await owed(book.rows, *own, also_disputed=True)


def by_id(dues: Dues) -> dict[str, int]:
    return {due.invoice_id: due.minor for due in dues.invoices}


async def enter(
    book: Book,
    kind: EntryKind,
    reference: str,
    invoice_id: str | None,
    total_minor: int,
    description: str,
    written: tuple[Any, ...],
    dispute_id: str | None = None,
) -> None:
    """A row that brings what is written of a thing to this total."""
    found = await book.rows.scalars(
        select(LedgerEntry.amount_minor).where(*book.mine(LedgerEntry), *written)
    )
    before = [int(minor) for minor in found]
    if sum(before) == total_minor:
        return
    await book.rows.execute(
        insert(LedgerEntry).values(
            **book.own,
            id=new_id(),
            date=book.today,
            kind=kind,
            description=description,
            amount_minor=total_minor - sum(before),
            invoice_id=invoice_id,
            payment_id=book.paid.id,
            dispute_id=dispute_id,
            reference=f"{reference} {len(before)}" if before else reference,
            created_at=book.now,
        )
    )
