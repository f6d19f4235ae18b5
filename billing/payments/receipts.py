"""Receipts of payments that succeeded."""

import datetime as dt
import logging
from typing import Any

from sqlalchemy import Row, exists, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.document_numbers import next_serial, skip_taken
from billing.payments.rows import receipt_columns
from models import DocumentKind, Receipt
from models.ids import new_id
from models.upsert import insert_into

# How often a number may turn out to be taken, while an import takes numbers too.
TRIES = 5

log = logging.getLogger("portal.payments")


class NoFreeNumber(Exception):
    """A document got no number, because other transactions take the numbers at the same time."""


async def create_receipt(
    conn: AsyncConnection,
    paid: Row[Any],
    amount_minor: int,
    now: dt.datetime,
    paid_on: dt.date,
) -> dict[str, Any]:
    """Create the receipt of a successful payment, and return it. The database refuses a second one.

    The receipt is of the day on which the money moved, which may be in an earlier year.

    The money has moved, so a taken number must not stop the payment: the receipt gets the next free
    number, and a log record alerts the operator.
    """
    practice_id = paid.practice_id
    for _ in range(TRIES):
        serial = await next_serial(conn, practice_id, DocumentKind.RECEIPT)
        receipt = {
            "practice_id": practice_id,
            "id": new_id(),
            "client_id": paid.client_id,
            "number": serial.number(paid_on),
            "serial": serial.value,
            **receipt_columns(paid.id, paid.contact_id, amount_minor, now, paid_on),
        }
        if await insert_unless_taken(conn, receipt):
            return receipt
        log.error(
            "alert: practice pra_%s has a receipt %s already: its counter is moved on",
            practice_id,
            serial.value,
        )
        await skip_taken(conn, practice_id, Receipt, serial.value)
    raise NoFreeNumber(f"pra_{practice_id}")


async def insert_unless_taken(conn: AsyncConnection, receipt: dict[str, Any]) -> bool:
    """Insert a receipt, unless its number is taken. Return whether it was inserted.

    The condition is for SQLite, where the trigger of an append-only table refuses a taken number
    before ON CONFLICT applies. ON CONFLICT is for a number that another transaction is taking.
    """
    columns = Receipt.__table__.columns
    values = [literal(value, columns[name].type) for name, value in receipt.items()]
    number = Receipt.practice_id == receipt["practice_id"], Receipt.serial == receipt["serial"]
    written = (
        insert_into(conn, Receipt)
        .from_select([*receipt], select(*values).where(~exists().where(*number)))
        .on_conflict_do_nothing(index_elements=["practice_id", "serial"])
        .returning(Receipt.id)
    )
    return (await conn.execute(written)).first() is not None
