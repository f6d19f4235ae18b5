"""The serials of imported documents. They are reserved before the import begins.

A counter stays locked until its transaction ends, and an import is one long transaction. So that
payments get their receipts during an import, the serials are reserved in a short transaction. They
are given back if nothing is imported.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.document_numbers import count_up, prefix_of, serial_of
from billing.imports.columns import BY_NAME
from billing.imports.faults import Faults
from billing.imports.references import chunks
from billing.imports.staging import Staging
from models import DocumentCounter, DocumentKind, Invoice, Receipt

# The serials of a trial, which is rolled back: so high that no document waits for them.
TRIAL = 1 << 52
NEW_PAYMENTS = """SELECT payments.line FROM payments
LEFT JOIN known ON kind = 'payment' AND external_id = id
WHERE row_id IS NULL AND portal_row_id IS NULL
ORDER BY paid_on, payments.line"""
NEW_INVOICES = """SELECT invoices.line, number FROM invoices
LEFT JOIN known ON kind = 'invoice' AND external_id = id WHERE row_id IS NULL
ORDER BY issued_on, invoices.line"""
NEW_BALANCES = """SELECT own.line FROM opening_balances AS own
LEFT JOIN known ON kind = 'opening_balance' AND external_id = id
WHERE row_id IS NULL AND amount > 0 ORDER BY as_of, own.line"""


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
    """The serials of new documents: their own, where their number has one that is free."""

    prefixes: Mapping[DocumentKind, str]
    own: dict[int, int]
    invoices: Sequence[int]
    balances: Sequence[int]
    payments: Sequence[int]

    @property
    def needed(self) -> dict[DocumentKind, int]:
        invoices = len(self.invoices) + len(self.balances)
        return {DocumentKind.INVOICE: invoices, DocumentKind.RECEIPT: len(self.payments)}


async def new_documents_of(
    conn: AsyncConnection, staging: Staging, practice_id: str, faults: Faults
) -> Numbering:
    """Find the documents that need a serial. Refuse numbers that are taken."""
    prefixes = {
        kind: await prefix_of(conn, practice_id, kind)
        for kind in (DocumentKind.INVOICE, DocumentKind.RECEIPT)
    }
    numbered = {row["line"]: row["number"] for row in staging.select(NEW_INVOICES)}
    by_number = {number: line for line, number in numbered.items() if number}
    for taken in await taken_values(conn, Invoice.number, practice_id, by_number):
        wrong, remedy = "is the number of another invoice here", "give it another number"
        path = staging.path(BY_NAME["invoices"])
        faults.add(path, by_number[taken], "number", "NUMBER_TAKEN", wrong, remedy)
    serials = {
        line: serial
        for number, line in by_number.items()
        if (serial := serial_of(prefixes[DocumentKind.INVOICE], number)) is not None
    }
    taken_serials = set(
        await taken_values(conn, Invoice.serial, practice_id, dict.fromkeys(serials.values()))
    )
    own: dict[int, int] = {}
    for line, serial in serials.items():
        if serial not in taken_serials:
            own[line] = serial
            taken_serials.add(serial)
    return Numbering(
        prefixes,
        own,
        [line for line in numbered if line not in own],
        [row["line"] for row in staging.select(NEW_BALANCES)],
        [row["line"] for row in staging.select(NEW_PAYMENTS)],
    )


async def taken_values(
    conn: AsyncConnection, column: Any, practice_id: str, values: dict[Any, Any]
) -> list[Any]:
    """Return those of the values that invoices of the practice have."""
    found = list[Any]()
    for some in chunks(values):
        statement = select(column).where(Invoice.practice_id == practice_id, column.in_(some))
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
        write_serials(staging, numbering, TRIAL, TRIAL)
        yield
    elif conn.dialect.name == "sqlite":
        write_serials(staging, numbering, *firsts(await reserve_all(conn, practice_id, numbering)))
        yield
    else:
        async with engine.begin() as short:
            blocks = await reserve_all(short, practice_id, numbering)
        try:
            write_serials(staging, numbering, *firsts(blocks))
            yield
        except BaseException:
            await conn.rollback()
            async with engine.begin() as short:
                for block in blocks:
                    await give_back(short, practice_id, block)
            raise


def firsts(blocks: Sequence[Block]) -> list[int]:
    return [block.first for block in blocks]


async def reserve_all(conn: AsyncConnection, practice_id: str, numbering: Numbering) -> list[Block]:
    own = {DocumentKind.INVOICE: max(numbering.own.values(), default=0)}
    return [
        await reserve(conn, practice_id, kind, count, own.get(kind, 0))
        for kind, count in numbering.needed.items()
    ]


def write_serials(staging: Staging, numbering: Numbering, invoice: int, receipt: int) -> None:
    serials: list[tuple[str, Iterator[tuple[int, int]]]] = [
        ("invoices", ((serial, line) for line, serial in numbering.own.items())),
        ("invoices", zip_serials(invoice, numbering.invoices)),
        ("opening_balances", zip_serials(invoice + len(numbering.invoices), numbering.balances)),
        ("payments", zip_serials(receipt, numbering.payments)),
    ]
    for name, pairs in serials:
        staging.execute_many(f"UPDATE {name} SET serial = ? WHERE line = ?", pairs)


def zip_serials(first: int, lines: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(range(first, first + len(lines)), lines, strict=True)


async def reserve(
    conn: AsyncConnection, practice_id: str, kind: DocumentKind, count: int, own: int
) -> Block:
    """Move the counter past a block of serials, and past the documents' own ones."""
    table: Any = Invoice if kind is DocumentKind.INVOICE else Receipt
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
