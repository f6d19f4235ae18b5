"""Versions of changes: each change of an invoice or a payment takes the practice's next version.

A reader that has seen a version has seen every change below it. A time can't guarantee that, since
the row that is written first may be committed last.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Subquery, case, func, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Allocation, Dispute, Invoice, Payment, PracticeVersion, Refund
from models.upsert import insert_into


async def stamp(conn: AsyncConnection, practice_id: str, payment_id: str) -> None:
    """Set the next version on a changed payment, and on the invoices and other payments that its
    allocations and reversals touch.

    Call this at the end of a transaction: other transactions of the practice wait for it to finish.
    """
    version = await next_version(conn, practice_id)
    of_payment = affected_allocations(practice_id, payment_id)
    payments = select(of_payment.c.payment_id).where(of_payment.c.payment_id.is_not(None))
    await conn.execute(
        update(Payment)
        .where(
            Payment.practice_id == practice_id,
            or_(Payment.id == payment_id, Payment.id.in_(payments)),
        )
        .values(version=version)
    )
    await conn.execute(
        update(Invoice)
        .where(
            Invoice.practice_id == practice_id,
            Invoice.id.in_(select(of_payment.c.invoice_id)),
        )
        .values(version=version)
    )


async def stamp_rows(
    conn: AsyncConnection, practice_id: str, invoice_ids: Iterable[str], payment_ids: Iterable[str]
) -> None:
    """Set the next version on changed invoices and payments, at the end of a transaction."""
    version = await next_version(conn, practice_id)
    changed: tuple[tuple[Any, Iterable[str]], ...] = (
        (Invoice, invoice_ids),
        (Payment, payment_ids),
    )
    for table, ids in changed:
        condition = table.practice_id == practice_id, table.id.in_(sorted(ids))
        await conn.execute(update(table).where(*condition).values(version=version))


async def next_version(conn: AsyncConnection, practice_id: str) -> int:
    """Return a version above the practice's counter and above the versions of all of its rows.

    An import may bring rows with versions that the counter has not reached.
    """
    highest = case(
        (
            highest_of(Payment, practice_id) > highest_of(Invoice, practice_id),
            highest_of(Payment, practice_id),
        ),
        else_=highest_of(Invoice, practice_id),
    )
    first = insert_into(conn, PracticeVersion).values(practice_id=practice_id, version=highest + 1)
    last = PracticeVersion.version
    counted_up = first.on_conflict_do_update(
        index_elements=["practice_id"],
        set_={"version": case((last > highest, last), else_=highest) + 1},
    )
    return int((await conn.execute(counted_up.returning(last))).scalar_one())


def highest_of(table: type[Invoice | Payment], practice_id: str) -> ColumnElement[int]:
    """Return the highest version of the practice's rows; 0 where none has one."""
    highest = select(func.max(table.version)).where(table.practice_id == practice_id)
    return func.coalesce(highest.scalar_subquery(), 0)


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
