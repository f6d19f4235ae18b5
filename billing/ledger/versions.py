"""Versions of changes: each change of an invoice or a payment takes the practice's next version.

A reader that has seen a version has seen every change below it. A time can't guarantee that, since
the row that is written first may be committed last.
"""

from typing import Any

from sqlalchemy import ColumnElement, case, func, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Allocation, Invoice, LedgerEntry, Payment, PracticeVersion
from models.upsert import insert_into


async def stamp(conn: AsyncConnection, practice_id: str, payment_id: str) -> None:
    """Set the next version on a changed payment and on the invoices that the payment touches.

    Call this at the end of a transaction: other transactions of the practice wait for it to finish.
    """
    version = await next_version(conn, practice_id)
    mine = Payment.practice_id == practice_id, Payment.id == payment_id
    await conn.execute(update(Payment).where(*mine).values(version=version))
    theirs = (
        Invoice.practice_id == practice_id,
        Invoice.id.in_(affected_invoices(practice_id, payment_id)),
    )
    await conn.execute(update(Invoice).where(*theirs).values(version=version))


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


def affected_invoices(practice_id: str, payment_id: str) -> Any:
    """Select the invoices that the payment paid, or that one of its refunds or disputes made due
    again.
    """
    return union(
        *(
            select(table.invoice_id).where(
                table.practice_id == practice_id,
                table.payment_id == payment_id,
                table.invoice_id.is_not(None),
            )
            for table in (Allocation, LedgerEntry)
        )
    )
