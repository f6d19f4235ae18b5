"""What has changed since: each change of an invoice or a payment takes the practice's next version.

A reader who has seen a version has seen every change below it. A time could not say that: what is
written first may be committed last.
"""

from typing import Any

from sqlalchemy import select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Allocation, Invoice, LedgerEntry, Payment, PracticeVersion
from models.inserting import insert_into


async def stamp(rows: AsyncConnection, practice_id: str, payment_id: str) -> None:
    """The next version, for a payment that was changed and the invoices that it has to do with.

    It is the last thing that a transaction does: others of the practice wait for it to end.
    """
    version = await next_version(rows, practice_id)
    mine = Payment.practice_id == practice_id, Payment.id == payment_id
    await rows.execute(update(Payment).where(*mine).values(version=version))
    theirs = Invoice.practice_id == practice_id, Invoice.id.in_(touched(practice_id, payment_id))
    await rows.execute(update(Invoice).where(*theirs).values(version=version))


async def next_version(rows: AsyncConnection, practice_id: str) -> int:
    first = insert_into(rows, PracticeVersion).values(practice_id=practice_id, version=1)
    counted_up = first.on_conflict_do_update(
        index_elements=["practice_id"], set_={"version": PracticeVersion.version + 1}
    )
    return int((await rows.execute(counted_up.returning(PracticeVersion.version))).scalar_one())


def touched(practice_id: str, payment_id: str) -> Any:
    """The invoices that the payment paid, or that a refund or a dispute of it made due again."""
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
