"""The numbers of documents: they count up by practice and kind, and are never used again."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from models import DocumentCounter, DocumentKind, Invoice, Receipt, Row, Statement, Superbill
from models.upsert import insert_into

# The beginnings of numbers, unless a practice has its own.
PREFIXES: Mapping[DocumentKind, str] = {
    DocumentKind.INVOICE: "INV",
    DocumentKind.STATEMENT: "STM",
    DocumentKind.SUPERBILL: "SB",
    DocumentKind.RECEIPT: "RCP",
}
KINDS: Mapping[type[Row], DocumentKind] = {
    Invoice: DocumentKind.INVOICE,
    Statement: DocumentKind.STATEMENT,
    Superbill: DocumentKind.SUPERBILL,
    Receipt: DocumentKind.RECEIPT,
}


class Serial(NamedTuple):
    """A serial that a counter has given out, and the beginning of its number."""

    value: int
    prefix: str

    def number(self, day: dt.date) -> str:
        """Return the number as printed: INV-2026-0042."""
        return f"{self.prefix}-{day.year}-{self.value:04}"


def serial_of(prefix: str, number: str) -> int | None:
    """Return the serial of a number in our own form, or None for any other number."""
    match = re.fullmatch(rf"{re.escape(prefix)}-[0-9]{{4}}-([0-9]{{1,15}})", number)
    return int(match[1]) if match else None


async def prefix_of(conn: AsyncConnection, practice_id: str, kind: DocumentKind) -> str:
    """Return the beginning of a practice's numbers."""
    counter = DocumentCounter.practice_id == practice_id, DocumentCounter.kind == kind
    own = await conn.scalar(select(DocumentCounter.prefix).where(*counter))
    return own or PREFIXES[kind]


async def next_serial(conn: AsyncConnection, practice_id: str, kind: DocumentKind) -> Serial:
    """Increment the counter in this transaction. If it is rolled back, the number is used again."""
    return await count_up(conn, practice_id, kind, 1, DocumentCounter.last + 1)


async def reach(conn: AsyncConnection, practice_id: str, kind: DocumentKind, serial: int) -> Serial:
    """Move the counter to a serial, unless it is there already. Return where it is."""
    last = DocumentCounter.last
    later = case((last < serial, serial), else_=last)
    return await count_up(conn, practice_id, kind, serial, later)


async def count_up(
    conn: AsyncConnection, practice_id: str, kind: DocumentKind, first: int, following: object
) -> Serial:
    """Set the counter, and return it. Other transactions then wait for this one."""
    counter = insert_into(conn, DocumentCounter)
    counted_up = (
        counter.values(practice_id=practice_id, kind=kind, last=first)
        .on_conflict_do_update(index_elements=["practice_id", "kind"], set_={"last": following})
        .returning(DocumentCounter.last, DocumentCounter.prefix)
    )
    last, prefix = (await conn.execute(counted_up)).one()
    return Serial(last, prefix or PREFIXES[kind])


async def is_taken(
    conn: AsyncConnection, table: type[Row], practice_id: str, **value: object
) -> bool:
    """Return whether a document of the practice has this number or serial."""
    columns = table.__table__.c
    conditions = [columns[name] == wanted for name, wanted in value.items()]
    statement = select(columns.id).where(columns.practice_id == practice_id, *conditions)
    return (await conn.execute(statement.limit(1))).first() is not None


async def free_serial(conn: AsyncConnection, practice_id: str, table: type[Row]) -> Serial:
    """Return the next serial that no document has, even if the counter was left behind."""
    serial = await next_serial(conn, practice_id, KINDS[table])
    if await is_taken(conn, table, practice_id, serial=serial.value):
        await skip_taken(conn, practice_id, table, serial.value)
        serial = await next_serial(conn, practice_id, KINDS[table])
    return serial


async def skip_taken(conn: AsyncConnection, practice_id: str, table: Any, serial: int) -> None:
    """Move a counter to the last of the consecutive numbers that are taken."""
    document, following = aliased(table), aliased(table)
    last: ColumnElement[int] = (
        select(func.min(document.serial))
        .where(
            document.practice_id == practice_id,
            document.serial >= serial,
            ~select(following.id)
            .where(
                following.practice_id == document.practice_id,
                following.serial == document.serial + 1,
            )
            .exists(),
        )
        .scalar_subquery()
    )
    counter = update(DocumentCounter).where(
        DocumentCounter.practice_id == practice_id, DocumentCounter.kind == KINDS[table]
    )
    await conn.execute(counter.values(last=last))
