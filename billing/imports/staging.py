"""The records of an import in a private database, for the checks across files.

SQLite keeps an unnamed database in a temporary file that has no name either: nobody else can open
it, and it is gone when the process ends, however it ends. So the memory that an import needs does
not grow with its files, and no other database is asked before the records are known to be right.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from billing.entry.invoices import WHOLE, line_amount
from billing.imports.columns import FileLayout
from billing.imports.csv_records import SourceRecord
from billing.imports.faults import Faults
from billing.imports.folders import Folder
from billing.imports.layouts import LAYOUTS

# The pages of 4 KiB in memory.
PAGES = 4_000
# The columns that checks and lookups join by.
INDEXED = ("id", "client_id", "invoice_id", "payment_id", "superbill_id")
MORE_COLUMNS = {
    "invoices": ("serial",),
    "payments": ("serial", "portal_row_id"),
    "opening_balances": ("serial",),
    "superbills": ("serial",),
    "documents": ("serial", "sha256"),
    "allocations": ("client_id",),
    "refunds": ("client_id",),
    "adjustments": ("client_id",),
}

StagedRow = Mapping[str, Any]


class RecordSource(Protocol):
    """A file of records: CSV, or any other form of the same columns.

    `heading` returns the name of a column for faults. `folder` has the files that records name. If
    a source `is_distinct`, repeated records are one record.
    """

    @property
    def layout(self) -> FileLayout: ...

    @property
    def path(self) -> str: ...

    @property
    def is_distinct(self) -> bool: ...

    @property
    def folder(self) -> Folder | None: ...

    def heading(self, column: str) -> str: ...

    def records(self) -> Iterator[SourceRecord]: ...


class Staging:
    """The staged records, a table for each file. `known` has the references of earlier imports."""

    def __init__(self) -> None:
        self.conn = sqlite3.connect("", isolation_level=None)
        self.conn.row_factory = sqlite3.Row
        self.conn.create_function("amount_of_line", 2, amount_of_line, deterministic=True)
        self.conn.execute(f"PRAGMA cache_size = {PAGES}")
        self.conn.execute("PRAGMA temp_store = FILE")
        self.conn.execute("PRAGMA journal_mode = OFF")
        self.conn.execute("PRAGMA synchronous = OFF")
        for layout in LAYOUTS:
            self.conn.execute(create_table(layout))
        self.conn.execute(
            "CREATE TABLE known (kind, external_id, row_id, digest, client_row_id, client_id,"
            " PRIMARY KEY (kind, external_id)) WITHOUT ROWID"
        )
        self.staged: dict[str, RecordSource] = {}

    def close(self) -> None:
        self.conn.close()

    def select(self, sql: str, *values: Any) -> Iterator[StagedRow]:
        """Yield rows with their columns by name."""
        for row in self.conn.execute(sql, values):
            yield dict(row)

    def execute(self, sql: str, *values: Any) -> None:
        self.conn.execute(sql, values)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self.conn.execute("BEGIN")
        self.conn.executemany(sql, rows)
        self.conn.execute("COMMIT")

    def count_of(self, table: str) -> int:
        return int(self.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    # -- records -----------------------------------------------------------------------------------

    def load(self, source: RecordSource) -> None:
        """Write the records of a source."""
        layout = source.layout
        self.staged[layout.name] = source
        names = [*layout.by_name, *computed_columns(layout)]
        marks = ", ".join("?" * (len(names) + 1))
        insert = f"INSERT INTO {layout.name} (line, {', '.join(names)}) VALUES ({marks})"
        self.execute_many(insert, (staged_values(layout, one) for one in source.records()))
        if source.is_distinct:
            same = ", ".join(names)
            self.conn.execute(
                f"DELETE FROM {layout.name} WHERE line NOT IN"
                f" (SELECT min(line) FROM {layout.name} GROUP BY {same})"
            )
        for name in INDEXED:
            if name in names:
                self.conn.execute(f"CREATE INDEX {layout.name}_{name} ON {layout.name} ({name})")

    def add_known(self, kind: str, rows: Iterable[Sequence[Any]]) -> None:
        """Write references: the external id, the row, the digest, and the row of the client."""
        self.execute_many(
            "INSERT OR IGNORE INTO known (kind, external_id, row_id, digest, client_row_id)"
            " VALUES (?, ?, ?, ?, ?)",
            ((kind, *row) for row in rows),
        )

    def faults_of(self, faults: Faults, layout: FileLayout, sql: str, *fault: str) -> None:
        """Add a fault for each line that a statement selects, with its column if it selects one."""
        code, wrong, remedy = fault
        for row in self.select(sql):
            words = {name: str(value) for name, value in row.items()}
            text = wrong.format(**words)
            column = self.heading(layout, row.get("column_name") or "")
            faults.add(self.path(layout), row["line"], column, code, text, remedy.format(**words))

    def path(self, layout: FileLayout) -> str:
        """Return the name of a file for faults."""
        source = self.staged.get(layout.name)
        return source.path if source else layout.file

    def heading(self, layout: FileLayout, column: str) -> str:
        source = self.staged.get(layout.name)
        return source.heading(column) if source else column


def amount_of_line(quantity: int | None, unit_price: int | None) -> int:
    return line_amount(WHOLE if quantity is None else quantity, unit_price or 0)


def create_table(layout: FileLayout) -> str:
    columns = [*layout.by_name, *computed_columns(layout), *MORE_COLUMNS.get(layout.name, ())]
    return f"CREATE TABLE {layout.name} (line INTEGER PRIMARY KEY, {', '.join(columns)})"


def computed_columns(layout: FileLayout) -> list[str]:
    """Return the columns of a table that its file doesn't have.

    A record without an id of its own has the id of its key, and a contact has one for each link.
    """
    computed = [] if "id" in layout.by_name or not layout.key else ["id"]
    return [*computed, *(["link_id"] if layout.name == "contacts" else [])]


def staged_values(layout: FileLayout, record: SourceRecord) -> tuple[Any, ...]:
    values = record.values
    computed = [external_key([values[name] for name in layout.key])] * len(computed_columns(layout))
    return (record.line, *values.values(), *computed)


def external_key(parts: Sequence[str | None]) -> str | None:
    """Return one external id for a key of one or several columns."""
    if None in parts:
        return None
    return parts[0] if len(parts) == 1 else json.dumps(parts, ensure_ascii=False)
