"""Folders of CSV files for imports, and a practice that they are imported into."""

import csv
import datetime as dt
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.audit_log import Actor
from billing.entry import commands
from billing.entry.commands import EntryContext
from billing.imports.cards_import import OpenStripe
from billing.imports.csv_records import source_files
from billing.imports.faults import Faults
from billing.imports.folders import opened_folder
from billing.imports.importing import ImportReport, ImportRequest, import_records
from billing.imports.mapping import OURS, ImportMapping
from billing.imports.values import Formats
from billing.money import currency_digits
from billing.time_zones import zone
from models import (
    ActorKind,
    Allocation,
    DocumentCounter,
    ExternalReference,
    LedgerEntry,
    PracticeVersion,
    Row,
)
from models.database import open_engine
from tests.support.empty_databases import prepare
from tests.support.entries import PRACTICE

Table = list[dict[str, str]]
Folder = dict[str, Table]
NOW = dt.datetime(2026, 3, 31, 17, tzinfo=dt.UTC)


def small_folder() -> Folder:
    """Return the records of three clients, with one record of each kind at least."""
    return {
        "clinicians": [
            {"id": "t1", "name": "Ruth Adeyemi", "credentials": "PhD", "npi": "1234567893"}
        ],
        "clients": [
            {"id": "c1", "name": "Ana Prieto", "first_name": "", "last_name": "",
             "email": "ana@example.com", "clinician_id": "t1", "created_on": "2026-01-02"},
            {"id": "c2", "name": "", "first_name": "Ben", "last_name": "Osei",
             "email": "", "clinician_id": "t1", "created_on": ""},
            {"id": "c3", "name": "Cleo Tan", "first_name": "", "last_name": "",
             "email": "", "clinician_id": "", "created_on": ""},
        ],
        "contacts": [
            {"id": "k1", "client_id": "c2", "name": "Gail Osei", "email": "gail@example.com",
             "relation": "PARENT", "sees_documents": "yes", "can_pay": "yes"}
        ],
        "sessions": [
            {"id": "s1", "client_id": "c1", "clinician_id": "", "date": "2026-01-05",
             "starts_at": "09:00", "duration_minutes": "50", "description": "Psychotherapy",
             "service_code": "90834", "fee": "150.00"},
            {"id": "s2", "client_id": "c1", "clinician_id": "t1", "date": "2026-01-12",
             "starts_at": "", "duration_minutes": "", "description": "Psychotherapy",
             "service_code": "90834", "fee": "150"},
            {"id": "s3", "client_id": "c2", "clinician_id": "", "date": "2026-02-02",
             "starts_at": "", "duration_minutes": "", "description": "Psychotherapy",
             "service_code": "", "fee": "120.50"},
        ],
        "invoices": [
            {"id": "i1", "client_id": "c1", "number": "A-17", "issued_on": "2026-01-31",
             "due_on": "2026-02-14", "notes": "", "voided_on": ""},
            {"id": "i2", "client_id": "c2", "number": "", "issued_on": "2026-02-03",
             "due_on": "", "notes": "By post", "voided_on": "2026-02-10"},
            {"id": "i3", "client_id": "c2", "number": "INV-2026-0040", "issued_on": "2026-02-10",
             "due_on": "", "notes": "", "voided_on": ""},
        ],
        "invoice_lines": [
            {"invoice_id": "i1", "session_id": "s1", "description": "", "quantity": "",
             "unit_price": "150.00"},
            {"invoice_id": "i1", "session_id": "s2", "description": "", "quantity": "",
             "unit_price": "150.00"},
            {"invoice_id": "i2", "session_id": "s3", "description": "", "quantity": "",
             "unit_price": "120.50"},
            {"invoice_id": "i3", "session_id": "s3", "description": "", "quantity": "",
             "unit_price": "120.50"},
            {"invoice_id": "i3", "session_id": "", "description": "Letter", "quantity": "1.5",
             "unit_price": "20.00"},
        ],
        "payments": [
            {"id": "p1", "client_id": "c1", "paid_on": "2026-02-01", "amount": "200.00",
             "method": "CHECK", "payer": "", "reference": "1042"},
            {"id": "p2", "client_id": "c2", "paid_on": "2026-02-01", "amount": "30.00",
             "method": "INSURANCE", "payer": "Blue Shield", "reference": ""},
        ],
        "refunds": [
            {"id": "r1", "payment_id": "p1", "refunded_on": "2026-02-09", "amount": "20.00"}
        ],
        "credits": [
            {"id": "g1", "client_id": "c1", "date": "2026-02-10", "amount": "5.00",
             "description": "Courtesy"}
        ],
        "adjustments": [
            {"id": "a1", "invoice_id": "i1", "date": "2026-02-11", "kind": "WRITE_OFF",
             "amount": "12.00", "description": "Sliding scale"},
            {"id": "a2", "invoice_id": "i1", "date": "2026-02-12", "kind": "ADJUSTMENT",
             "amount": "-3.00", "description": "Correction of"},
        ],
        "opening_balances": [{"client_id": "c3", "as_of": "2025-12-31", "amount": "-45.00"}],
        "superbills": [
            {"id": "b1", "client_id": "c1", "number": "B-7", "issued_on": "2026-02-01",
             "period_start": "2026-01-01", "period_end": "2026-01-31",
             "rendering_clinician_id": "t1", "billing_clinician_id": "", "shared": "yes"},
        ],
        "superbill_lines": [
            {"superbill_id": "b1", "session_id": "s1", "date": "2026-01-05",
             "place_of_service": "11", "service_code": "90834", "modifiers": "95 GT", "units": "",
             "diagnoses": "2", "fee": "150.00", "paid": "150.00"},
            {"superbill_id": "b1", "session_id": "", "date": "2026-01-12",
             "place_of_service": "", "service_code": "", "modifiers": "", "units": "1.5",
             "diagnoses": "", "fee": "150.00", "paid": ""},
        ],
        "superbill_diagnoses": [
            {"superbill_id": "b1", "position": "1", "code": "F41.1", "description": "Anxiety"},
            {"superbill_id": "b1", "position": "2", "code": "F32.1", "description": ""},
        ],
        "totals": [
            {"client_id": "c1", "balance": "100.00", "unallocated": "0.00"},
            {"client_id": "c2", "balance": "120.50", "unallocated": ""},
            {"client_id": "c3", "balance": "-45.00", "unallocated": "45.00"},
        ],
    }  # fmt: skip


def csv_text(rows: Sequence[Mapping[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else ["id"])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_folder(path: Path, folder: Mapping[str, Sequence[Mapping[str, str]]]) -> Path:
    """Write the files, in place of those that are there."""
    path.mkdir(exist_ok=True)
    for old in path.glob("*.csv"):
        old.unlink()
    for name, rows in folder.items():
        (path / f"{name}.csv").write_text(csv_text(rows))
    return path


def pdf(text: str = "") -> bytes:
    """Return bytes that begin as a PDF."""
    return b"%PDF-1.4\n" + text.encode() + b"\n%%EOF\n"


def add_documents(path: Path, folder: Folder) -> Folder:
    """Add a PDF for each kind of document to the small folder's records."""
    (path / "old").mkdir(parents=True, exist_ok=True)
    empty = dict.fromkeys(
        "invoice_id superbill_id payment_id number issued_on period_start period_end".split(), ""
    )
    own: Table = [
        {"id": "d1", "client_id": "c1", "kind": "INVOICE", "invoice_id": "i1"},
        {"id": "d2", "client_id": "c1", "kind": "SUPERBILL", "superbill_id": "b1"},
        {"id": "d3", "client_id": "c1", "kind": "RECEIPT", "payment_id": "p1"},
        {"id": "d4", "client_id": "c1", "kind": "STATEMENT", "number": "S-3",
         "issued_on": "2026-03-02", "period_start": "2026-02-01", "period_end": "2026-02-28"},
    ]  # fmt: skip
    for row in own:
        row["file"] = f"old/{row['id']}.pdf"
        (path / row["file"]).write_bytes(pdf(row["id"]))
    return folder | {"documents": [empty | row for row in own]}


class ImportDesk:
    """A practice without clients, and imports of folders into it."""

    def __init__(self, engine: AsyncEngine, path: Path, now: dt.datetime = NOW) -> None:
        self.engine, self.path, self.now = engine, path, now
        # `paid` is the portal's own payment, where a test makes one.
        self.practice_id = self.paid = ""

    async def open(self, details: Any = PRACTICE) -> "ImportDesk":
        context = EntryContext(self.engine, lambda: self.now)
        self.practice_id = await commands.enter_practice(context, details)
        self.digits, self.zone = currency_digits(details.currency), zone(details.time_zone)
        return self

    async def load(
        self,
        folder: Folder | Path,
        *,
        source: str = "ehr",
        mapping: ImportMapping = OURS,
        open_stripe: OpenStripe | None = None,
        **options: Any,
    ) -> ImportReport:
        """Import a folder, and return the report."""
        path = folder if isinstance(folder, Path) else write_folder(self.path, folder)
        assert self.zone is not None
        actor = Actor(self.practice_id, ActorKind.OPERATOR, operation="test", name="Olga")
        formats = Formats(self.digits, self.zone)
        request = ImportRequest(self.practice_id, source, formats, actor=actor, **options)
        faults = Faults()
        self.now += dt.timedelta(seconds=1)
        with opened_folder(path) as opened:
            files = source_files(opened, formats, faults, mapping)
            return await import_records(self.engine, request, files, faults, self.now, open_stripe)

    # -- reads -------------------------------------------------------------------------------------

    async def rows(self, table: Any, **values: Any) -> list[dict[str, Any]]:
        columns = table.__table__.c
        own = columns.practice_id if "practice_id" in columns else columns.id
        conditions = [columns[name] == value for name, value in values.items()]
        statement = select(*columns).where(own == self.practice_id, *conditions)
        async with self.engine.connect() as conn:
            found = await conn.execute(statement.order_by(*table.__table__.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def row_of(self, kind: str, external_id: str) -> str:
        (found,) = await self.rows(ExternalReference, kind=kind, external_id=external_id)
        return str(found["row_id"])

    async def version(self) -> int:
        """Return the version of the practice's data."""
        (found,) = await self.rows(PracticeVersion)
        return int(found["version"])

    async def balances(self, client: str) -> tuple[int, int]:
        """Return the balance and the unallocated funds of a client, by its external id."""
        client_id = await self.row_of("client", client)
        entries = await self.rows(LedgerEntry, client_id=client_id)
        put = sum(row["amount_minor"] for row in await self.rows(Allocation, client_id=client_id))
        funds = sum(row["amount_minor"] for row in entries if row["invoice_id"] is None)
        return sum(row["amount_minor"] for row in entries), -funds - put

    async def counts(self) -> dict[str, int]:
        """Return the number of the practice's rows by table, but for counters at zero."""
        async with self.engine.connect() as conn:
            return {
                table.name: int(
                    await conn.scalar(
                        select(func.count())
                        .select_from(table)
                        .where(table.c.practice_id == self.practice_id)
                    )
                    or 0
                )
                for table in Row.metadata.sorted_tables
                if "practice_id" in table.c and table is not DocumentCounter.__table__
            }


@asynccontextmanager
async def import_database(url: str) -> AsyncIterator[AsyncEngine]:
    """Yield the engine of a migrated, empty database."""
    await prepare(url)
    async with open_engine(url) as engine:
        yield engine
