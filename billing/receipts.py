"""Receipts, and the numbers of documents: in order, never reused."""

import datetime as dt

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import DocumentCounter, DocumentKind, Receipt
from models.ids import new_id


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
    counted_up = (
        update(DocumentCounter)
        .where(DocumentCounter.practice_id == practice_id, DocumentCounter.kind == kind)
        .values(last=DocumentCounter.last + 1)
        .returning(DocumentCounter.last)
    )
    serial = await rows.scalar(counted_up)
    if serial is None:
        first = {"practice_id": practice_id, "kind": kind, "last": 1}
        await rows.execute(insert(DocumentCounter).values(first))
        return 1
    return int(serial)
