"""Reads of a client's record within a snapshot, a page of rows at a time."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, false, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.client_records.tables import RecordTable
from models import DocumentKind, Invoice, PrintedDocument, Receipt, Statement, Superbill

# The number of rows that are in memory at once.
ROWS_READ = 200
DOCUMENTS: Mapping[DocumentKind, Any] = {
    DocumentKind.INVOICE: Invoice,
    DocumentKind.STATEMENT: Statement,
    DocumentKind.SUPERBILL: Superbill,
    DocumentKind.RECEIPT: Receipt,
}


@dataclass(frozen=True)
class RecordSubject:
    """A client, and the snapshot that the record is read from."""

    conn: AsyncConnection
    practice_id: str
    client_id: str

    async def pages(self, statement: Select[Any]) -> AsyncIterator[Sequence[Any]]:
        result = await self.conn.stream(statement.execution_options(yield_per=ROWS_READ))
        async for page in result.partitions():
            yield page

    def rows(self, table: RecordTable) -> Select[Any]:
        """Select the client's rows of a table, in the order of their keys."""
        model: Any = table.model
        mine = table.belongs(self.practice_id, self.client_id)
        in_practice = model.practice_id == self.practice_id
        return select(*table.values).where(in_practice, mine).order_by(*model.__table__.primary_key)

    async def documents(self) -> list["RecordDocument"]:
        """Return the files that were given out, and the documents that have none yet.

        An invoice that became void may have been given out before and after.
        """
        documents: list[RecordDocument] = []
        for kind, model in DOCUMENTS.items():
            printed = await self.printed(kind)
            void = model.is_void if model is Invoice else false()
            columns = model.id, model.number, void.label("is_void")
            mine = model.practice_id == self.practice_id, model.client_id == self.client_id
            for row in await self.conn.execute(
                select(*columns).where(*mine).order_by(model.serial)
            ):
                for is_void in sorted({*printed.get(str(row.id), ()), bool(row.is_void)}):
                    documents.append(RecordDocument(kind, str(row.id), row.number, is_void))
        return documents

    async def printed(self, kind: DocumentKind) -> dict[str, set[bool]]:
        """Return the documents of a kind that were printed, before or after they became void."""
        printed: dict[str, set[bool]] = {}
        statement = select(PrintedDocument.document_id, PrintedDocument.is_void).where(
            PrintedDocument.practice_id == self.practice_id,
            PrintedDocument.client_id == self.client_id,
            PrintedDocument.kind == kind,
        )
        for row in await self.conn.execute(statement):
            printed.setdefault(str(row.document_id), set()).add(row.is_void)
        return printed

    async def stored(self, document: "RecordDocument") -> bytes | None:
        """Return the bytes that were given out, if there are any."""
        statement = select(PrintedDocument.content).where(
            PrintedDocument.practice_id == self.practice_id,
            PrintedDocument.kind == document.kind,
            PrintedDocument.document_id == document.id,
            PrintedDocument.is_void == document.is_void,
        )
        return await self.conn.scalar(statement)


@dataclass(frozen=True)
class RecordDocument:
    """A document of the record, as it was given out or would be."""

    kind: DocumentKind
    id: str
    number: str
    is_void: bool

    @property
    def file(self) -> str:
        """Return the name of the file in the ZIP file."""
        void = " void" if self.is_void else ""
        return f"documents/{self.kind.capitalize()} {self.number}{void}.pdf"
