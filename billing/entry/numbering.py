"""The numbers of the documents of an entry, given out in its transaction."""

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from billing.document_numbers import (
    KINDS,
    document_number,
    free_serial,
    is_taken,
    reach,
    serial_of,
)
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.rows import Insertion, Operation
from models import Row


def new_documents(operations: Sequence[Operation]) -> Iterator[Insertion]:
    """Yield the documents among the new rows, in their order."""
    for operation in operations:
        if isinstance(operation, Insertion) and operation.table in KINDS:
            yield operation


def give_number(document: Insertion, serial: int) -> None:
    """Give a document its serial, and a number unless another system has given one."""
    values, kind = document.values, KINDS[document.table]
    values["serial"] = serial
    if values["number"] is None:
        values["number"] = document_number(kind, values["issued_on"], serial)


async def number_documents(
    conn: AsyncConnection, practice_id: str, operations: Sequence[Operation]
) -> None:
    """Give all new documents of an entry their numbers."""
    for document in new_documents(operations):
        table, values = document.table, document.values
        if values["number"] is not None:
            serial = await keep_number(conn, table, practice_id, values["number"])
        else:
            serial = await free_serial(conn, practice_id, table)
        give_number(document, serial)


async def keep_number(
    conn: AsyncConnection, table: type[Row], practice_id: str, number: str
) -> int:
    """Return a serial for a number that another system has given. Refuse a number that is taken.

    A number in our own form keeps its serial if that is free, and the counter continues after it.
    """
    kind = KINDS[table]
    own = serial_of(kind, number)
    if own is not None:
        await reach(conn, practice_id, kind, own)
    serial = own
    if own is None or await is_taken(conn, table, practice_id, serial=own):
        serial = await free_serial(conn, practice_id, table)
    if await is_taken(conn, table, practice_id, number=number):
        raise EntryError(EntryErrorCode.NUMBER_TAKEN, "The number is taken.", "number")
    assert serial is not None
    return serial
