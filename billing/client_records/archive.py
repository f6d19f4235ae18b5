"""The ZIP file of a client's record, made part by part from one snapshot.

documents/*.pdf      each document as it was given out
*.csv                what people read
record.json          all rows of the client
record.schema.json   the JSON Schema of record.json
README.txt           these lines
"""

import datetime as dt
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select

from billing.client_records.json_schema import FORMAT, record_schema
from billing.client_records.rows import RecordDocument, RecordSubject
from billing.client_records.sheets import SHEETS, Sheet
from billing.client_records.tables import RECORD
from billing.client_records.zip_stream import ZipStream
from billing.documents.facts import read_document
from billing.documents.printer import Printer
from models import Practice

README = """The record of one client of {practice}, as of {at}.

documents/           Each invoice, statement, superbill and receipt: the PDF file as it was given
                     out. "void" in a name: the invoice as it was given out after it became void.
*.csv                Sessions, invoices with their lines, payments and the account's history. Open
                     them in a spreadsheet.
record.json          All data about the client, for programs.
record.schema.json   The description of record.json (JSON Schema, 2020-12).

The files contain health information. Keep them where only you can read them.
"""


@dataclass(frozen=True)
class RecordArchive:
    """A client's record to be written. `printer` prints documents that were never given out."""

    subject: RecordSubject
    printer: Printer
    now: dt.datetime

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the ZIP file. A document or a page of rows is in memory at a time."""
        archive = ZipStream()
        practice = await self.practice()
        told = README.format(practice=practice["name"], at=f"{self.now:%Y-%m-%d %H:%M} UTC")
        archive.add("README.txt", told.encode())
        archive.add("record.schema.json", pretty(record_schema()))
        documents = []
        for document in await self.subject.documents():
            content = await self.content(document)
            archive.add(document.file, content, is_compressed=True)
            documents.append(document_entry(document, content))
            yield archive.take()
        for sheet in SHEETS:
            async for chunk in self.sheet(archive, sheet, practice["currency"]):
                yield chunk
        head = {
            "format": FORMAT,
            "exported_at": self.now,
            "practice": practice,
            "documents": documents,
        }
        async for chunk in self.rows(archive, head):
            yield chunk
        archive.close()
        yield archive.take()

    async def practice(self) -> dict[str, Any]:
        columns = Practice.id, Practice.name, Practice.currency, Practice.time_zone
        statement = select(*columns).where(Practice.id == self.subject.practice_id)
        return dict((await self.subject.conn.execute(statement)).one()._mapping)

    async def content(self, document: RecordDocument) -> bytes:
        """Return a document's bytes: those that were given out, or new ones that are kept now."""
        stored = await self.subject.stored(document)
        if stored is not None:
            return stored
        subject = self.subject
        facts = await read_document(
            subject.conn, document.kind, subject.practice_id, document.id, self.printer.keys
        )
        assert facts is not None
        return (await self.printer.print_facts(facts)).content

    async def sheet(self, archive: ZipStream, sheet: Sheet, currency: str) -> AsyncIterator[bytes]:
        with archive.entry(f"{sheet.name}.csv") as entry:
            entry.write(sheet.heading().encode())
            async for page in self.subject.pages(sheet.statement(self.subject)):
                entry.write(sheet.text(page, currency).encode())
                yield archive.take()
        yield archive.take()

    async def rows(self, archive: ZipStream, head: dict[str, Any]) -> AsyncIterator[bytes]:
        """Write `record.json`: the head, and then a property for each table."""
        with archive.entry("record.json") as entry:
            entry.write(orjson.dumps(head)[:-1])
            for table in RECORD:
                entry.write(b',\n"' + table.name.encode() + b'":[')
                separator = b"\n"
                async for page in self.subject.pages(self.subject.rows(table)):
                    lines = b",\n".join(json_line(row) for row in page)
                    entry.write(separator + lines)
                    separator = b",\n"
                    yield archive.take()
                entry.write(b"]")
            entry.write(b"}\n")
        yield archive.take()


def document_entry(document: RecordDocument, content: bytes) -> dict[str, Any]:
    return {
        "kind": document.kind,
        "document_id": document.id,
        "number": document.number,
        "is_void": document.is_void,
        "file": document.file,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def json_line(row: Any) -> bytes:
    return orjson.dumps(dict(row._mapping), default=bytes.hex, option=orjson.OPT_UTC_Z)


def pretty(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
