"""The operations of entries, written in their order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import ColumnElement, and_, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.rows import Alteration, Deletion, Insertion, Operation
from billing.ledger.hash_chain import CHAINED, NewRow
from billing.ledger.versions import stamp_rows
from models import (
    Allocation,
    Client,
    ContactRight,
    Invoice,
    LedgerEntry,
    Payment,
    Row,
    Session,
    Statement,
    Superbill,
)


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


# The rows with a version that a row of a table changes, and the columns that name them.
NAMES: Mapping[type[Row], Mapping[type[Row], str]] = {
    **{table: {table: "id"} for table in (Client, Session, Invoice, Payment, Statement, Superbill)},
    ContactRight: {Client: "client_id"},
    # A session changes when it is invoiced, and when the invoice is voided.
    LedgerEntry: {Invoice: "invoice_id", Payment: "payment_id", Session: "session_id"},
    Allocation: {Invoice: "invoice_id", Payment: "payment_id"},
}


@dataclass
class Touched:
    """The rows that a transaction has changed, which get its version."""

    rows: dict[type[Row], set[str]] = field(default_factory=dict)

    def add(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            values = getattr(operation, "key", {}) | getattr(operation, "values", {})
            for table, name in NAMES.get(operation.table, {}).items():
                if values.get(name) is not None:
                    self.rows.setdefault(table, set()).add(values[name])

    async def stamp(self, conn: AsyncConnection, practice_id: str) -> None:
        """Set the practice's next version on the rows, at the end of the transaction."""
        if self.rows:
            await stamp_rows(conn, practice_id, self.rows)
