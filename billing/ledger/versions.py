"""Versions of changes: each change of a row takes the practice's next version, and has its events.

A reader that has seen a version has seen every change below it. A time can't guarantee that, since
the row that is written first may be committed last.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Subquery,
    case,
    func,
    or_,
    select,
    union,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.outbox.recording import record_events
from models import (
    Allocation,
    Client,
    Dispute,
    Invoice,
    Payment,
    PracticeVersion,
    Refund,
    Row,
    Session,
    Statement,
    Superbill,
)
from models.upsert import insert_into

# The tables with versions. A receipt never changes: it has the version of its payment.
VERSIONED: tuple[Any, ...] = (Client, Session, Invoice, Payment, Statement, Superbill)

# The versions that may be taken by others while rows are written with a version ahead of them.
AHEAD = 1_000_000

# The ids of changed rows, by their table.
Changed = Mapping[type[Row], Iterable[str]]


async def stamp(conn: AsyncConnection, practice_id: str, payment_id: str) -> None:
    """Set the next version on a changed payment, and on the invoices and other payments that its
    allocations and reversals touch.

    Call this at the end of a transaction: other transactions of the practice wait for it to finish.
    """
    of_payment = affected_allocations(practice_id, payment_id)
    payments = select(of_payment.c.payment_id).where(of_payment.c.payment_id.is_not(None))
    async with new_version(conn, practice_id) as version:
        await version.set_on(Payment, or_(Payment.id == payment_id, Payment.id.in_(payments)))
        await version.set_on(Invoice, Invoice.id.in_(select(of_payment.c.invoice_id)))


async def stamp_rows(conn: AsyncConnection, practice_id: str, changed: Changed) -> None:
    """Set the next version on changed rows, at the end of a transaction."""
    async with new_version(conn, practice_id) as version:
        for table in VERSIONED:
            if ids := sorted(changed.get(table, ())):
                await version.set_on(table, table.id.in_(ids))


@dataclass
class NewVersion:
    """A practice's next version, and the tables with rows that carry it."""

    conn: AsyncConnection
    practice_id: str
    number: int
    tables: set[Any] = field(default_factory=set)

    async def set_on(self, table: Any, which: ColumnElement[bool]) -> None:
        """Set the version on the rows of a table that a condition selects."""
        own = table.practice_id == self.practice_id, table.version.is_distinct_from(self.number)
        await self.conn.execute(update(table).where(*own, which).values(version=self.number))
        self.tables.add(table)


@asynccontextmanager
async def new_version(
    conn: AsyncConnection, practice_id: str, ahead: int | None = None
) -> AsyncIterator[NewVersion]:
    """Take the practice's next version, to be set on rows, and then record its events.

    If the transaction has inserted rows with the version `ahead`, the practice's version becomes
    that one, unless others have come so far meanwhile.
    """
    version = NewVersion(conn, practice_id, await next_version(conn, practice_id, ahead))
    if ahead is not None:
        version.tables |= {*VERSIONED}
        for table in VERSIONED if version.number != ahead else ():
            await version.set_on(table, table.version == ahead)
    yield version
    await record_events(conn, practice_id, version.number, version.tables)


async def version_ahead(conn: AsyncConnection, practice_id: str) -> int:
    """Return a version for rows that are inserted before the practice's next version is taken.

    The counter is not locked: others count up meanwhile, and don't come so far.
    """
    counter = select(PracticeVersion.version).where(PracticeVersion.practice_id == practice_id)
    rows = await conn.scalar(select(highest_version(practice_id)))
    return max(rows or 0, await conn.scalar(counter) or 0) + AHEAD


async def next_version(conn: AsyncConnection, practice_id: str, ahead: int | None = None) -> int:
    """Return a version above the practice's counter and above the versions of all of its rows.

    An import may bring rows with versions that the counter has not reached.
    """
    least = highest_version(practice_id) + 1 if ahead is None else ahead
    first = insert_into(conn, PracticeVersion).values(practice_id=practice_id, version=least)
    last, wanted = PracticeVersion.version, first.excluded.version
    counted_up = first.on_conflict_do_update(
        index_elements=["practice_id"],
        set_={"version": case((last >= wanted, last + 1), else_=wanted)},
    )
    return int((await conn.execute(counted_up.returning(last))).scalar_one())


def highest_version(practice_id: str) -> ScalarSelect[int]:
    """Return the highest version of the practice's rows; 0 where none has one."""
    each = (
        select(func.max(table.version).label("version")).where(table.practice_id == practice_id)
        for table in VERSIONED
    )
    highest = union_all(*each).subquery()
    return select(func.coalesce(func.max(highest.c.version), 0)).scalar_subquery()


def affected_allocations(practice_id: str, payment_id: str) -> Subquery:
    """Select the allocations of the payment, and those that its refunds and disputes took back."""
    of_payment = Allocation.payment_id == payment_id
    by_reversals = (
        named.in_(
            select(table.id).where(table.practice_id == practice_id, table.payment_id == payment_id)
        )
        for named, table in ((Allocation.refund_id, Refund), (Allocation.dispute_id, Dispute))
    )
    return union(
        *(
            select(Allocation.invoice_id, Allocation.payment_id).where(
                Allocation.practice_id == practice_id, condition
            )
            for condition in (of_payment, *by_reversals)
        )
    ).subquery()
