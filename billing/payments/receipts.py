"""Receipts, and the numbers of documents, which are consecutive and never reused."""

import datetime as dt
import logging

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from models import DocumentCounter, DocumentKind, Receipt
from models.ids import new_id
from models.upsert import insert_into

# How often a number may turn out to be taken, while an import takes numbers too.
TRIES = 5

log = logging.getLogger("portal.payments")


class NoFreeNumber(Exception):
    """A document got no number, because other transactions take the numbers at the same time."""


async def create_receipt(
    conn: AsyncConnection,
    practice_id: str,
    client_id: str,
    payment_id: str,
    amount_minor: int,
    now: dt.datetime,
    today: dt.date,
) -> None:
    """Create the receipt of a successful payment. The database refuses a second one.

    The money has moved, so a taken number must not stop the payment: the receipt gets the next free
    number, and a log record alerts the operator.
    """
    for _ in range(TRIES):
        serial = await next_serial(conn, practice_id, DocumentKind.RECEIPT)
        written = insert_into(conn, Receipt).values(
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
        free = written.on_conflict_do_nothing(index_elements=["practice_id", "serial"])
        if (await conn.execute(free.returning(Receipt.id))).first() is not None:
            return
        log.error(
            "alert: practice pra_%s has a receipt %s already: its counter is moved on",
            practice_id,
            serial,
        )
        await skip_taken(conn, practice_id, serial)
    raise NoFreeNumber(f"pra_{practice_id}")


async def next_serial(conn: AsyncConnection, practice_id: str, kind: DocumentKind) -> int:
    """Increment the counter in this transaction. If it is rolled back, the number is used again."""
    first = insert_into(conn, DocumentCounter)
    counted_up = (
        first.values(practice_id=practice_id, kind=kind, last=1)
        .on_conflict_do_update(
            index_elements=["practice_id", "kind"], set_={"last": DocumentCounter.last + 1}
        )
        .returning(DocumentCounter.last)
    )
    return int((await conn.execute(counted_up)).scalar_one())


async def skip_taken(conn: AsyncConnection, practice_id: str, serial: int) -> None:
    """Move the counter of receipts to the last of the consecutive numbers that are taken."""
    receipt, following = aliased(Receipt), aliased(Receipt)
    last: ColumnElement[int] = (
        select(func.min(receipt.serial))
        .where(
            receipt.practice_id == practice_id,
            receipt.serial >= serial,
            ~select(following.id)
            .where(
                following.practice_id == receipt.practice_id,
                following.serial == receipt.serial + 1,
            )
            .exists(),
        )
        .scalar_subquery()
    )
    counter = update(DocumentCounter).where(
        DocumentCounter.practice_id == practice_id, DocumentCounter.kind == DocumentKind.RECEIPT
    )
    await conn.execute(counter.values(last=last))
