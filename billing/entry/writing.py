"""The operations of entries, written in their order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import ColumnElement, and_, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.rows import Alteration, Deletion, Insertion, Operation
from billing.ledger.hash_chain import CHAINED, NewRow
from billing.ledger.versions import stamp_rows
from models import Allocation, Invoice, LedgerEntry, Payment


async def write(conn: AsyncConnection, operations: Sequence[Operation]) -> None:
    """Write the operations of an entry. Refuse a change of a row that isn't there."""
    for together in batches(operations):
        first = together[0]
        if isinstance(first, Insertion):
            rows = [one.values for one in together if isinstance(one, Insertion)]
            await conn.execute(insert(first.table), rows)
        elif isinstance(first, Alteration):
            changed = update(first.table).where(condition(first)).values(dict(first.values))
            if (await conn.execute(changed)).rowcount == 0:
                raise EntryError(EntryErrorCode.NO_SUCH_ROW, "There is no such row here.")
        else:
            await conn.execute(delete(first.table).where(condition(first)))


def chained_rows(operations: Iterable[Operation]) -> list[NewRow]:
    """Return the inserted rows that need a link of their client's hash chain."""
    return [
        (one.table, one.values)
        for one in operations
        if isinstance(one, Insertion) and one.table in CHAINED
    ]


def batches(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Yield the operations: neighbouring rows of a table together, all others alone."""
    numbered = enumerate(operations)
    for _, together in groupby(
        numbered,
        key=lambda one: one[1].table if isinstance(one[1], Insertion) else one[0],
    ):
        yield [operation for _, operation in together]


def condition(operation: Alteration | Deletion) -> ColumnElement[bool]:
    columns = operation.table.__table__.c
    return and_(*(columns[name] == value for name, value in operation.key.items()))


# The columns of a table that name an invoice and a payment.
NAMES = {
    Invoice: ("id", ""),
    Payment: ("", "id"),
    LedgerEntry: ("invoice_id", "payment_id"),
    Allocation: ("invoice_id", "payment_id"),
}


@dataclass
class Touched:
    """The invoices and payments that a transaction has changed, which get its version."""

    invoices: set[str] = field(default_factory=set)
    payments: set[str] = field(default_factory=set)

    def add(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            names = NAMES.get(operation.table, ("", ""))
            values = getattr(operation, "key", {}) | getattr(operation, "values", {})
            for known, name in zip((self.invoices, self.payments), names, strict=True):
                if values.get(name) is not None:
                    known.add(values[name])

    async def stamp(self, conn: AsyncConnection, practice_id: str) -> None:
        """Set the practice's next version on the rows, at the end of the transaction."""
        if self.invoices or self.payments:
            await stamp_rows(conn, practice_id, self.invoices, self.payments)
