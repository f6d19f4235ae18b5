"""Refunds and disputes: the reversed money of a payment, as Stripe reports it.

All reversals of a payment are read from Stripe and written together, as the difference to the rows
that exist here. So the kind, number and order of events don't matter. A result that is older than
the rows is not written: Stripe is asked again.
"""

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger.allocation import AmountsDue, owed
from billing.ledger.versions import stamp
from billing.payments.confirm import ROUNDS, find_payment
from billing.payments.context import PaymentContext, client_lock, local_day, read_payment
from billing.payments.reversal_shares import Reversal, Taken, moves, share_reversals
from billing.stripe import Unknown
from billing.stripe.objects import Disputed, Refunded
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

# The order of the states of a refund and a dispute. A final state stays.
ORDER: Mapping[str, int] = {
    RefundState.REQUESTED: 0,
    RefundState.PENDING: 1,
    RefundState.SUCCEEDED: 2,
    RefundState.FAILED: 3,
    DisputeState.OPEN: 0,
    DisputeState.WON: 1,
    DisputeState.LOST: 1,
}

log = logging.getLogger("portal.payments")


@dataclass
class Book:
    """A payment's account, in a transaction that has locked its client.

    `changed` is set once anything was written.
    """

    conn: AsyncConnection
    paid: Row[Any]
    now: dt.datetime
    changed: bool = False

    @property
    def own(self) -> dict[str, str]:
        return {"practice_id": self.paid.practice_id, "client_id": self.paid.client_id}

    @property
    def today(self) -> dt.date:
        return local_day(self.now, self.paid.time_zone)

    def mine(self, table: Any) -> tuple[Any, ...]:
        return table.practice_id == self.paid.practice_id, table.payment_id == self.paid.id

    async def sum(self, column: Any, *where: Any) -> int:
        total = select(func.coalesce(func.sum(column), 0)).where(*where)
        return int((await self.conn.execute(total)).scalar_one())

    async def write(self, statement: Any) -> None:
        await self.conn.execute(statement)
        self.changed = True


@dataclass(frozen=True)
class Settled:
    """A refund or a dispute with its current values. It `holds` until the money is back here."""

    id: str
    stripe_id: str
    minor: int
    created: dt.datetime
    holds: bool


async def reverse(context: PaymentContext, practice_id: str, payment_id: str) -> None:
    """Write all reversals of a payment. Raise Unknown or Rejected if Stripe gives no result."""
    for _ in range(ROUNDS):
        paid = await find_payment(context, practice_id, payment_id)
        if paid.stripe_id is None or paid.state is not PaymentState.SUCCEEDED:
            return
        refunds = await context.stripe.refunds(paid.stripe_account, intent_id=paid.stripe_id)
        disputes = await context.stripe.disputes(paid.stripe_account, intent_id=paid.stripe_id)
        if await write_result(context, paid, refunds, disputes):
            return
    raise Unknown("newer results were written each time")


async def write_result(
    context: PaymentContext,
    paid: Row[Any],
    refunds: Sequence[Refunded],
    disputes: Sequence[Disputed],
) -> bool:
    """Write a result from Stripe. Return False if the payment was changed since the request.

    Another result may have been written in the meantime, and this one may be older.
    """
    if not refunds and not disputes:
        return True
    async with client_lock(context, paid.practice_id, paid.client_id) as conn:
        if (await read_payment(conn, paid.practice_id, paid.id)).version != paid.version:
            return False
        book = Book(conn, paid, context.now())
        await write_reversals(
            book, refunds, [dispute for dispute in disputes if dispute.state is not None]
        )
        if book.changed:
            await stamp(conn, paid.practice_id, paid.id)
    return True


async def write_reversals(
    book: Book, refunds: Sequence[Refunded], disputes: Sequence[Disputed]
) -> None:
    given = [await write_refund(book, refund) for refund in refunds]
    taken = [await write_dispute(book, dispute) for dispute in disputes]
    holding = sorted(
        (one.created, one.stripe_id, one.minor) for one in (*given, *taken) if one.holds
    )
    reversals = [Reversal(stripe_id, minor) for _, stripe_id, minor in holding]
    shares = share_reversals(await payment_allocations(book), await unused(book), reversals)
    for refund in given:
        await enter_refund(book, refund)
        await take_back(book, refund, shares.get(refund.stripe_id) or Taken())
    for dispute in taken:
        await adjust(book, dispute, shares.get(dispute.stripe_id) or Taken())


# -- rows of refunds and disputes ------------------------------------------------------------------


async def write_refund(book: Book, refund: Refunded) -> Settled:
    """Write the refund's row: the one that was written when it was requested here, or a new one."""
    known = Refund.stripe_id == refund.id
    if refund.refund_id is not None:
        known |= (Refund.id == refund.refund_id) & Refund.stripe_id.is_(None)
    facts = {
        "state": refund.state,
        "amount_minor": refund.amount_minor,
        "refunded_at": refund.created,
    }
    row = await upsert_reversal(book, Refund, known, refund.id, facts)
    holds = row["state"] is not RefundState.FAILED
    return Settled(row["id"], refund.id, row["amount_minor"], refund.created, holds)


async def write_dispute(book: Book, dispute: Disputed) -> Settled:
    facts = {
        "state": dispute.state,
        "amount_minor": await disputed_amount(book, dispute),
        "disputed_at": dispute.created,
    }
    row = await upsert_reversal(book, Dispute, Dispute.stripe_id == dispute.id, dispute.id, facts)
    holds = row["state"] is not DisputeState.WON
    return Settled(row["id"], dispute.id, row["amount_minor"], dispute.created, holds)


async def disputed_amount(book: Book, dispute: Disputed) -> int:
    """Return the amount that a dispute takes of the payment. Log an alert if it is
    another amount.
    """
    received = -await book.sum(
        LedgerEntry.amount_minor, *book.mine(LedgerEntry), LedgerEntry.kind == EntryKind.PAYMENT
    )
    if not is_part(dispute, book.paid.currency, received):
        log.error(
            "alert: dispute %s is of another amount than payment %s", dispute.id, book.paid.id
        )
    return amount_taken(dispute, book.paid.currency, received)


def amount_taken(dispute: Disputed, currency: str, received_minor: int) -> int:
    """Return the amount that a dispute takes of a payment: no more than the payment received.

    A bank may dispute an amount in another currency, or more than was charged. Stripe takes it from
    the practice's balance in its own currency, so here the whole payment is disputed.
    """
    return dispute.amount_minor if is_part(dispute, currency, received_minor) else received_minor


def is_part(dispute: Disputed, currency: str, received_minor: int) -> bool:
    return dispute.currency == currency and dispute.amount_minor <= received_minor


async def upsert_reversal(
    book: Book,
    table: type[Refund] | type[Dispute],
    known: Any,
    stripe_id: str,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Update a row from Stripe's result and return its columns.

    A state never goes back to an earlier one: the row then stays unchanged.
    """
    result = await book.conn.execute(select(table.__table__).where(*book.mine(table), known))
    before = result.first()
    named = {"stripe_account": book.paid.stripe_account, "stripe_id": stripe_id}
    times = {"created_at": book.now, "changed_at": book.now}
    if before is None:
        row = book.own | named | facts | times | {"id": new_id(), "payment_id": book.paid.id}
        await book.write(insert(table).values(row))
        return row
    row = dict(before._mapping)
    if ORDER[facts["state"]] < ORDER[row["state"]] or is_final(row["state"]):
        facts = {"state": row["state"]}
    changes = {name: value for name, value in (named | facts).items() if row[name] != value}
    if changes:
        statement = update(table).where(
            table.practice_id == before.practice_id, table.id == before.id
        )
        await book.write(statement.values(changes | {"changed_at": book.now}))
    return row | changes


def is_final(state: RefundState | DisputeState) -> bool:
    return state in (RefundState.FAILED, DisputeState.WON, DisputeState.LOST)


# -- amounts that can be taken back ----------------------------------------------------------------


async def payment_allocations(book: Book) -> list[tuple[str, int]]:
    """Return the payment's allocations to valid invoices without refunds, in order."""
    put = func.sum(Allocation.amount_minor)
    result = await book.conn.execute(
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
    return [(invoice_id, int(minor)) for invoice_id, minor in result]


async def unused(book: Book) -> int:
    """Return the part of the payment that is still unused credit."""
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
    credit = (await owed(book.conn, book.paid.practice_id, book.paid.client_id)).credit_minor
    return min(received - put, credit + await credit_taken_before(book))


async def credit_taken_before(book: Book) -> int:
    """Return the amount that this payment's reversals have taken from unused credit so far."""
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


# -- ledger entries and allocations ----------------------------------------------------------------


async def enter_refund(book: Book, refund: Settled) -> None:
    """Enter the refund in the ledger, or reverse the entry if the refund failed."""
    minor, named = refund.minor if refund.holds else 0, refund.stripe_id
    entries = (
        LedgerEntry.kind == EntryKind.REFUND,
        (LedgerEntry.reference == named) | LedgerEntry.reference.like(f"{named} %"),
    )
    said = "Refund" if minor else "Refund that failed"
    await enter_correction(book, EntryKind.REFUND, named, None, minor, said, entries)


async def take_back(book: Book, refund: Settled, taken: Taken) -> None:
    """Take the refund back from each invoice that the payment paid, or return it to them."""
    refund_id = refund.id
    minor = func.sum(Allocation.amount_minor)
    result = await book.conn.execute(
        select(Allocation.invoice_id, minor)
        .where(*book.mine(Allocation), Allocation.refund_id == refund_id)
        .group_by(Allocation.invoice_id)
    )
    before = {invoice_id: -int(minor) for invoice_id, minor in result}
    amounts_due = await all_dues(book)
    for invoice_id, more in moves(
        before, taken.of_invoices, minor_by_invoice(amounts_due), amounts_due.credit_minor
    ):
        await book.write(
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


async def adjust(book: Book, dispute: Settled, taken: Taken) -> None:
    """Make each invoice due again by the disputed amount, until the dispute is won."""
    minor = func.sum(LedgerEntry.amount_minor)
    of_dispute = LedgerEntry.dispute_id == dispute.id
    result = await book.conn.execute(
        select(LedgerEntry.invoice_id, minor)
        .where(*book.mine(LedgerEntry), of_dispute)
        .group_by(LedgerEntry.invoice_id)
    )
    before = {invoice_id: int(minor) for invoice_id, minor in result}
    total = sum(taken.of_invoices.values()) + taken.of_credit
    named = {invoice_id: minor for invoice_id, minor in before.items() if invoice_id is not None}
    amounts_due = await all_dues(book)
    spare = max(0, amounts_due.credit_minor) + sum(before.values()) - total
    after: dict[str | None, int] = dict(named.items())
    for invoice_id, more in moves(named, taken.of_invoices, minor_by_invoice(amounts_due), spare):
        after[invoice_id] = after.get(invoice_id, 0) + more
    after[None] = total - sum(after.values())
    for of, all_ in after.items():
        said = "Payment disputed" if all_ > before.get(of, 0) else "Dispute won"
        entries = of_dispute, LedgerEntry.invoice_id.is_not_distinct_from(of)
        kind = EntryKind.ADJUSTMENT
        await enter_correction(
            book, kind, dispute.stripe_id, of, all_, said, entries, dispute_id=dispute.id
        )


async def all_dues(book: Book) -> AmountsDue:
    return await owed(book.conn, book.paid.practice_id, book.paid.client_id, also_disputed=True)


def minor_by_invoice(amounts_due: AmountsDue) -> dict[str, int]:
    return {due.invoice_id: due.minor for due in amounts_due.invoices}


async def enter_correction(
    book: Book,
    kind: EntryKind,
    reference: str,
    invoice_id: str | None,
    total_minor: int,
    description: str,
    entries: tuple[Any, ...],
    dispute_id: str | None = None,
) -> None:
    """Insert the row that brings these ledger entries to a total, unless they have it already."""
    found = await book.conn.scalars(
        select(LedgerEntry.amount_minor).where(*book.mine(LedgerEntry), *entries)
    )
    before = [int(minor) for minor in found]
    if sum(before) == total_minor:
        return
    await book.write(
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
