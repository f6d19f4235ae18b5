"""Refunds and disputes: the reversed money of a payment, as Stripe reports it.

All reversals of a payment are read from Stripe and written together, as the difference to the rows
that exist here. So the kind, number and order of events don't matter. A result that is older than
the rows is not written: Stripe is asked again.
"""

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger.allocation import owed
from billing.ledger.hash_chain import NewRow, add_links
from billing.ledger.taking_back import (
    Reversal,
    allocated_sums,
    parts_of,
    redistribute,
    taken_parts,
)
from billing.ledger.versions import stamp
from billing.payments import states
from billing.payments.confirm import ROUNDS, find_payment
from billing.payments.context import PaymentContext, client_lock, local_day, read_payment
from billing.payments.states import StateChanged, allowed, first, is_final
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

# The descriptions of money that left, and of its return.
DESCRIPTIONS = {
    EntryKind.REFUND: ("Refund", "Refund that failed"),
    EntryKind.DISPUTE: ("Payment disputed", "Dispute won"),
}

NOTHING_KNOWN: Mapping[str, Any] = {}

log = logging.getLogger("portal.payments")


@dataclass
class Book:
    """A payment's account, in a transaction that has locked its client.

    `changed` is set once anything was written. `rows` are those that need a link.
    """

    conn: AsyncConnection
    paid: Row[Any]
    now: dt.datetime
    changed: bool = False
    rows: list[NewRow] = field(default_factory=list)

    @property
    def own(self) -> dict[str, str]:
        return {"practice_id": self.paid.practice_id, "client_id": self.paid.client_id}

    @property
    def today(self) -> dt.date:
        return self.local_day(self.now)

    def local_day(self, moment: dt.datetime) -> dt.date:
        return local_day(moment, self.paid.time_zone)

    def mine(self, table: Any) -> tuple[Any, ...]:
        return table.practice_id == self.paid.practice_id, table.payment_id == self.paid.id

    async def sum(self, column: Any, *where: Any) -> int:
        total = select(func.coalesce(func.sum(column), 0)).where(*where)
        return int((await self.conn.execute(total)).scalar_one())

    async def write(self, statement: Any) -> None:
        await self.conn.execute(statement)
        self.changed = True

    async def append(self, table: type[LedgerEntry | Allocation], **values: Any) -> None:
        row = {**self.own, "id": new_id(), **values}
        await self.write(insert(table).values(row))
        self.rows.append((table, row))


@dataclass(frozen=True)
class Settled:
    """A refund or a dispute with its current values. It `holds` until the money is back here."""

    kind: EntryKind
    id: str
    stripe_id: str
    minor: int
    created: dt.datetime
    holds: bool
    invoice_id: str | None = None

    @property
    def held_minor(self) -> int:
        return self.minor if self.holds else 0

    @property
    def name(self) -> str:
        """Return the column of allocations that names it."""
        return "refund_id" if self.kind is EntryKind.REFUND else "dispute_id"

    @property
    def is_mine(self) -> ColumnElement[bool]:
        """Return the condition for allocations that it took back, or returned."""
        column = Allocation.refund_id if self.kind is EntryKind.REFUND else Allocation.dispute_id
        return column == self.id


async def reverse(
    context: PaymentContext, practice_id: str, payment_id: str, *, until: dt.datetime | None = None
) -> None:
    """Write all reversals of a payment, or those that were created until a time. Raise Unknown or
    Rejected if Stripe gives no result.
    """
    for _ in range(ROUNDS):
        paid = await find_payment(context, practice_id, payment_id)
        if paid.stripe_id is None or paid.state is not PaymentState.SUCCEEDED:
            return
        refunds = await context.stripe.refunds(paid.stripe_account, intent_id=paid.stripe_id)
        disputes = await context.stripe.disputes(paid.stripe_account, intent_id=paid.stripe_id)
        if until is not None:
            refunds = [refund for refund in refunds if refund.created <= until]
            disputes = [dispute for dispute in disputes if dispute.created <= until]
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
        await add_links(conn, book.rows, book.now)
        if book.changed:
            await stamp(conn, paid.practice_id, paid.id)
    return True


async def write_reversals(
    book: Book, refunds: Sequence[Refunded], disputes: Sequence[Disputed]
) -> None:
    written = [
        *[await write_refund(book, refund) for refund in refunds],
        *[await write_dispute(book, dispute) for dispute in disputes],
    ]
    written.sort(key=lambda one: (one.created, one.stripe_id))
    for one in written:
        await enter_reversal(book, one)
    # A repeated report moves nothing, although there may be credit since the first one.
    if book.changed:
        await move_allocations(book, written)


# -- rows of refunds and disputes ------------------------------------------------------------------


async def write_refund(book: Book, refund: Refunded) -> Settled:
    """Write the refund's row: the one that was written when it was requested here, or a new one."""
    known = Refund.stripe_id == refund.id
    if refund.refund_id is not None:
        known |= (Refund.id == refund.refund_id) & Refund.stripe_id.is_(None)
    facts = {"amount_minor": refund.amount_minor, "refunded_at": refund.created}
    lost = await lost_refund(book, refund) if refund.refund_id is not None else {}
    row, state = await upsert_reversal(book, Refund, known, refund.id, refund.state, facts, lost)
    holds = state is not RefundState.FAILED
    minor = row["amount_minor"]
    chosen = row.get("invoice_id")
    return Settled(EntryKind.REFUND, row["id"], refund.id, minor, refund.created, holds, chosen)


async def lost_refund(book: Book, refund: Refunded) -> dict[str, Any]:
    """Return the values of a refund that was requested here before the database was restored.

    There are none if the request's row names another refund of Stripe: this one is a second one.
    """
    same = Refund.practice_id == book.paid.practice_id, Refund.id == refund.refund_id
    if await book.conn.scalar(select(Refund.id).where(*same)) is not None:
        return {}
    own = Invoice.practice_id == book.paid.practice_id, Invoice.client_id == book.paid.client_id
    chosen = select(Invoice.id).where(*own, Invoice.id == refund.invoice_id)
    invoice_id = await book.conn.scalar(chosen) if refund.invoice_id is not None else None
    return {"id": refund.refund_id, "key": refund.key_hash, "invoice_id": invoice_id}


async def write_dispute(book: Book, dispute: Disputed) -> Settled:
    assert dispute.state is not None
    facts = {
        "amount_minor": await disputed_amount(book, dispute),
        "disputed_at": dispute.created,
    }
    known = Dispute.stripe_id == dispute.id
    row, state = await upsert_reversal(book, Dispute, known, dispute.id, dispute.state, facts)
    holds = state is not DisputeState.WON
    minor = row["amount_minor"]
    return Settled(EntryKind.DISPUTE, row["id"], dispute.id, minor, dispute.created, holds)


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
    state: RefundState | DisputeState,
    facts: dict[str, Any],
    lost: Mapping[str, Any] = NOTHING_KNOWN,
) -> tuple[dict[str, Any], RefundState | DisputeState]:
    """Update a row from Stripe's result and return its columns, and its state.

    A final state stays, and no state goes back to an earlier one: the row then stays unchanged.
    `lost` are further values of a new row.
    """
    result = await book.conn.execute(select(table.__table__).where(*book.mine(table), known))
    before = result.first()
    named = {"stripe_account": book.paid.stripe_account, "stripe_id": stripe_id}
    times = {"created_at": book.now, "changed_at": book.now}
    if before is None:
        row = book.own | named | first(state) | facts | times
        row |= {"id": new_id(), "payment_id": book.paid.id, **lost}
        await book.write(insert(table).values(row))
        return row, state
    row = dict(before._mapping)
    if is_final(before.state) or (state is not before.state and not allowed(before.state, state)):
        state, facts = before.state, {}
    changes = {name: value for name, value in (named | facts).items() if row[name] != value}
    await write_changes(book, table, before, state, changes)
    return row | changes, state


async def write_changes(
    book: Book,
    table: type[Refund] | type[Dispute],
    before: Row[Any],
    state: RefundState | DisputeState,
    changes: dict[str, Any],
) -> None:
    where = table.practice_id == before.practice_id, table.id == before.id
    if state is not before.state:
        if not await states.change(book.conn, where, before.state, state, book.now, **changes):
            raise StateChanged(f"{table.__tablename__} {before.id} is no longer {before.state}")
        book.changed = True
    elif changes:
        await book.write(update(table).where(*where).values(changes | {"changed_at": book.now}))


# -- ledger entries and allocations ----------------------------------------------------------------


async def enter_reversal(book: Book, reversal: Settled) -> None:
    """Enter the money that left in the ledger, or its return if it came back."""
    named = reversal.stripe_id
    found = await book.conn.scalars(
        select(LedgerEntry.amount_minor).where(
            *book.mine(LedgerEntry),
            LedgerEntry.kind == reversal.kind,
            (LedgerEntry.reference == named) | LedgerEntry.reference.like(f"{named} %"),
        )
    )
    before = [int(minor) for minor in found]
    if sum(before) == reversal.held_minor:
        return
    left, returned = DESCRIPTIONS[reversal.kind]
    await book.append(
        LedgerEntry,
        date=book.local_day(reversal.created) if reversal.holds else book.today,
        posted_on=book.today,
        kind=reversal.kind,
        description=left if reversal.holds else returned,
        amount_minor=reversal.held_minor - sum(before),
        payment_id=book.paid.id,
        dispute_id=reversal.id if reversal.kind is EntryKind.DISPUTE else None,
        reference=f"{named} {len(before)}" if before else named,
        created_at=book.now,
    )


async def move_allocations(book: Book, reversals: Sequence[Settled]) -> None:
    """Take allocations back for the money that left, and return those of money that came back."""
    own = book.paid.practice_id, book.paid.client_id
    amounts_due = await owed(book.conn, *own, also_disputed=True)
    before = [
        Reversal(
            one.id,
            one.held_minor,
            taken_parts(await allocated_sums(book.conn, *own, one.is_mine)),
            one.invoice_id,
        )
        for one in reversals
    ]
    moved = redistribute(
        await allocated_sums(book.conn, *own),
        amounts_due.by_invoice,
        amounts_due.credit_minor,
        before,
        book.paid.id,
    )
    names = {one.id: one.name for one in reversals}
    for key, source, minor in parts_of(moved):
        await book.append(
            Allocation,
            **source._asdict(),
            **{names[key]: key},
            amount_minor=minor,
            date=book.today,
            created_at=book.now,
        )
