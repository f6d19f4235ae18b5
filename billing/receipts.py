"""Receipts, and the numbers of documents: in order, never reused."""

import datetime as dt

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import DocumentCounter, DocumentKind, Receipt
from models.ids import new_id
from models.inserting import insert_into


async def make(
    rows: AsyncConnection,
    practice_id: str,
    client_id: str,
    payment_id: str,
    amount_minor: int,
    now: dt.datetime,
    today: dt.date,
) -> None:
    """The receipt of a payment that succeeded; the database refuses a second."""
    serial = await next_serial(rows, practice_id, DocumentKind.RECEIPT)
    await rows.execute(
        insert(Receipt).values(
            practice_id=practice_id,
            id=new_id(),
            client_id=client_id,
            payment_id=payment_id,
            number=f"RCP-{today.year}-{serial:04}",
            serial=serial,
            amount_minor=amount_minor,
            issued_at=now,
            issued_on=today,
        )
    )


async def next_serial(rows: AsyncConnection, practice_id: str, kind: DocumentKind) -> int:
    """Counted up in this transaction: a number of one that is undone is given out again."""
    first = insert_into(rows, DocumentCounter)
    counted_up = (
        first.values(practice_id=practice_id, kind=kind, last=1)
        .on_conflict_do_update(
            index_elements=["practice_id", "kind"], set_={"last": DocumentCounter.last + 1}
        )
        .returning(DocumentCounter.last)
    )
    return int((await rows.execute(counted_up)).scalar_one())
