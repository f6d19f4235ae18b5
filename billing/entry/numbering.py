"""The numbers of the documents of an entry, given out in its transaction."""

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from billing.document_numbers import (
    KINDS,
    PREFIXES,
    Serial,
    free_serial,
    is_taken,
    prefix_of,
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


def give_number(document: Insertion, serial: Serial) -> None:
    """Give a document its serial, and a number unless another system has given one."""
    values = document.values
    values["serial"] = serial.value
    if values["number"] is None:
        values["number"] = serial.number(values["issued_on"])


def standard_serial(table: type[Row], value: int) -> Serial:
    """Return a serial of a practice without a prefix of its own."""
    return Serial(value, PREFIXES[KINDS[table]])


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
) -> Serial:
    """Return a serial for a number that another system has given. Refuse a number that is taken.

    A number in our own form keeps its serial if that is free, and the counter continues after it.
    """
    kind = KINDS[table]
    prefix = await prefix_of(conn, practice_id, kind)
    own = serial_of(prefix, number)
    if own is not None:
        await reach(conn, practice_id, kind, own)
    if await is_taken(conn, table, practice_id, number=number):
        raise EntryError(EntryErrorCode.NUMBER_TAKEN, "The number is taken.", "number")
    if own is None or await is_taken(conn, table, practice_id, serial=own):
        return await free_serial(conn, practice_id, table)
    return Serial(own, prefix)
