"""The serials of imported documents. They are reserved before the import begins.

A counter stays locked until its transaction ends, and an import is one long transaction. So that
payments get their receipts during an import, the serials are reserved in a short transaction. They
are given back if nothing is imported.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.document_numbers import count_up, prefix_of, serial_of
from billing.imports.faults import Faults
from billing.imports.layouts import BY_NAME
from billing.imports.references import chunks, undone_kind
from billing.imports.staging import Staging
from models import (
    DocumentCounter,
    DocumentKind,
    ExternalReference,
    Invoice,
    Receipt,
    Statement,
    Superbill,
)

# The serials of a trial, which is rolled back: so high that no document waits for them.
TRIAL = 1 << 52


class NumberedFile(NamedTuple):
    """A file whose new records are documents of a kind, in the order of their numbers.

    `where` is a condition for the records that get a number. With `keeps` they may have one of
    their own.
    """

    name: str
    kind: DocumentKind
    table: Any
    day: str
    where: str = "TRUE"
    keeps: bool = False

    @property
    def new_records(self) -> str:
        """Return the statement that selects the new records."""
        number = "number" if self.keeps else "NULL AS number"
        return (
            f"SELECT own.line, {number} FROM {self.name} AS own"
            f" LEFT JOIN known ON known.kind = '{BY_NAME[self.name].kind}' AND external_id = own.id"
            f" WHERE row_id IS NULL AND {self.where} ORDER BY {self.day}, own.line"
        )


NUMBERED = (
    NumberedFile("invoices", DocumentKind.INVOICE, Invoice, "issued_on", keeps=True),
    NumberedFile("opening_balances", DocumentKind.INVOICE, Invoice, "as_of", "amount > 0"),
    NumberedFile("payments", DocumentKind.RECEIPT, Receipt, "paid_on", "portal_row_id IS NULL"),
    NumberedFile("superbills", DocumentKind.SUPERBILL, Superbill, "issued_on", keeps=True),
    NumberedFile(
        "documents",
        DocumentKind.STATEMENT,
        Statement,
        "issued_on",
        "own.kind = 'STATEMENT'",
        keeps=True,
    ),
)
TABLES: Mapping[DocumentKind, Any] = {one.kind: one.table for one in NUMBERED}


@dataclass(frozen=True)
class Block:
    """Consecutive serials of a kind of document, and the counter before they were reserved."""

    kind: DocumentKind
    before: int
    first: int
    count: int

    @property
    def last(self) -> int:
        return self.first + self.count - 1


@dataclass
class Numbering:
    """The serials of new documents by the line of their record, file by file.

    `own` has the serials in the documents' own numbers that are free. `waiting` has the lines of
    all others, which get the next serials.
    """

    prefixes: Mapping[DocumentKind, str]
    own: Mapping[str, Mapping[int, int]]
    waiting: Mapping[str, Sequence[int]]

    @property
    def kinds(self) -> list[DocumentKind]:
        """Return the kinds of documents that there are new ones of."""
        there = {one.kind for one in NUMBERED if self.own[one.name] or self.waiting[one.name]}
        return [kind for kind in TABLES if kind in there]

    @property
    def needed(self) -> Mapping[DocumentKind, int]:
        counted = Counter[DocumentKind]()
        for one in NUMBERED:
            counted[one.kind] += len(self.waiting[one.name])
        return counted

    def largest_own(self, kind: DocumentKind) -> int:
        serials = (self.own[one.name].values() for one in NUMBERED if one.kind is kind)
        return max((max(some) for some in serials if some), default=0)


async def new_documents_of(
    conn: AsyncConnection, staging: Staging, practice_id: str, faults: Faults
) -> Numbering:
    """Find the documents that need a serial. Refuse numbers that are taken."""
    prefixes = {kind: await prefix_of(conn, practice_id, kind) for kind in TABLES}
    numbering = Numbering(prefixes, own := {}, waiting := {})
    for file in NUMBERED:
        numbered = {row["line"]: row["number"] for row in staging.select(file.new_records)}
        by_number = {number: line for line, number in numbered.items() if number}
        await refuse_taken(conn, staging, practice_id, faults, file, by_number)
        prefix = prefixes[file.kind]
        own[file.name] = await free_serials(conn, practice_id, file, prefix, by_number)
        waiting[file.name] = [line for line in numbered if line not in own[file.name]]
    return numbering


async def refuse_taken(
    conn: AsyncConnection,
    staging: Staging,
    practice_id: str,
    faults: Faults,
    file: NumberedFile,
    by_number: Mapping[str, int],
) -> None:
    """Refuse the numbers of documents that are here already, but for those of undone imports."""
    layout = BY_NAME[file.name]
    undone = exists().where(
        ExternalReference.practice_id == practice_id,
        ExternalReference.kind == undone_kind(layout.kind),
        ExternalReference.row_id == file.table.id,
    )
    for taken in await taken_values(conn, file.table, "number", practice_id, by_number, ~undone):
        wrong = f"is the number of another {layout.kind} here"
        line, path = by_number[taken], staging.path(layout)
        faults.add(path, line, "number", "NUMBER_TAKEN", wrong, "give it another number")


async def free_serials(
    conn: AsyncConnection,
    practice_id: str,
    file: NumberedFile,
    prefix: str,
    by_number: Mapping[str, int],
) -> dict[int, int]:
    """Return the serials of numbers in our own form by line, as far as they are free."""
    serials = {
        line: serial
        for number, line in by_number.items()
        if (serial := serial_of(prefix, number)) is not None
    }
    taken = set(await taken_values(conn, file.table, "serial", practice_id, serials.values()))
    own: dict[int, int] = {}
    for line, serial in serials.items():
        if serial not in taken:
            own[line] = serial
            taken.add(serial)
    return own


async def taken_values(
    conn: AsyncConnection,
    table: Any,
    name: str,
    practice_id: str,
    values: Iterable[Any],
    *conditions: Any,
) -> list[Any]:
    """Return those of the values that documents of the practice have."""
    column, found = getattr(table, name), list[Any]()
    for some in chunks(dict.fromkeys(values)):
        own = table.practice_id == practice_id, column.in_(some)
        statement = select(column).where(*own, *conditions)
        found += await conn.scalars(statement)
    return found


@asynccontextmanager
async def serials_given(
    engine: AsyncEngine,
    conn: AsyncConnection,
    staging: Staging,
    practice_id: str,
    numbering: Numbering,
    *,
    is_trial: bool,
) -> AsyncIterator[None]:
    """Give the staged documents their serials. They are given back if the block raises.

    SQLite has one writer at a time, so there the import's own transaction counts up.
    """
    if is_trial:
        write_serials(staging, numbering, dict.fromkeys(TABLES, TRIAL))
        yield
    elif conn.dialect.name == "sqlite":
        write_serials(staging, numbering, firsts(await reserve_all(conn, practice_id, numbering)))
        yield
    else:
        async with engine.begin() as short:
            blocks = await reserve_all(short, practice_id, numbering)
        try:
            write_serials(staging, numbering, firsts(blocks))
            yield
        except BaseException:
            await conn.rollback()
            async with engine.begin() as short:
                for block in blocks:
                    await give_back(short, practice_id, block)
            raise


def firsts(blocks: Sequence[Block]) -> dict[DocumentKind, int]:
    return {block.kind: block.first for block in blocks}


async def reserve_all(conn: AsyncConnection, practice_id: str, numbering: Numbering) -> list[Block]:
    return [
        await reserve(conn, practice_id, kind, numbering.needed[kind], numbering.largest_own(kind))
        for kind in numbering.kinds
    ]


def write_serials(
    staging: Staging, numbering: Numbering, first: Mapping[DocumentKind, int]
) -> None:
    following = {kind: count(serial) for kind, serial in first.items()}
    for file in NUMBERED:
        statement = f"UPDATE {file.name} SET serial = ? WHERE line = ?"
        own = ((serial, line) for line, serial in numbering.own[file.name].items())
        waiting = ((next(following[file.kind]), line) for line in numbering.waiting[file.name])
        for pairs in (own, waiting):
            staging.execute_many(statement, pairs)


async def reserve(
    conn: AsyncConnection, practice_id: str, kind: DocumentKind, count: int, own: int
) -> Block:
    """Move the counter past a block of serials, and past the documents' own ones."""
    table = TABLES[kind]
    highest = select(func.max(table.serial)).where(table.practice_id == practice_id)
    before, _ = await count_up(conn, practice_id, kind, 0, DocumentCounter.last)
    used = max(before, own, await conn.scalar(highest) or 0)
    counter = update(DocumentCounter).where(*of_counter(practice_id, kind))
    await conn.execute(counter.values(last=used + count))
    return Block(kind, before, used + 1, count)


async def give_back(conn: AsyncConnection, practice_id: str, block: Block) -> None:
    """Move the counter back, unless a number was given out since."""
    counter = update(DocumentCounter).where(*of_counter(practice_id, block.kind))
    unchanged = DocumentCounter.last == block.last
    await conn.execute(counter.where(unchanged).values(last=block.before))


def of_counter(practice_id: str, kind: DocumentKind) -> tuple[Any, ...]:
    return DocumentCounter.practice_id == practice_id, DocumentCounter.kind == kind
