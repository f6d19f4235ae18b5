"""The operations of many entries, as rows by table for a bulk insert."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from billing.entry.rows import Alteration, Insertion, Operation, Values
from models import Row


@dataclass
class RowBatch:
    """New rows by table, in an order that foreign keys allow, and changes of rows from before.

    The values of a new row are those of its ledger, which has applied later changes to them.
    """

    rows: dict[type[Row], list[Values]] = field(default_factory=dict)
    changes: list[Operation] = field(default_factory=list)


def row_batch(operations: Iterable[Operation]) -> RowBatch:
    """Return the operations of entries that were made in memory."""
    mapped = {mapper.local_table: mapper.class_ for mapper in Row.registry.mappers}
    rows: dict[type[Row], list[Values]] = {
        mapped[table]: [] for table in Row.metadata.sorted_tables
    }
    changes, new = list[Operation](), set[Any]()
    for operation in operations:
        if isinstance(operation, Insertion):
            rows[operation.table].append(operation.values)
            new.add(operation.values.get("id"))
        elif not isinstance(operation, Alteration) or new.isdisjoint(operation.key.values()):
            changes.append(operation)
    return RowBatch({table: values for table, values in rows.items() if values}, changes)
