"""Layout of documents: paper, language, pages, letterhead, and the position of each word."""

import datetime as dt
import io
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pylopdf_fonts_zh_cn
import pytest
from cryptography.fernet import Fernet
from pypdf import PdfReader
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.documents import typesetting
from billing.documents.facts import Document, practice_of_document, read_document
from billing.documents.typesetting import can_be_printed, render_pdf
from billing.encryption import FieldKeys
from models import (
    DocumentKind,
    Invoice,
    Letterhead,
    Logo,
    Practice,
    Superbill,
)
from models.database import engine
from models.migrations import upgrade
from server.cli.demo_letterheads import LOGO
from tests.support import word_boxes
from tests.support.factories import DAY, Books
from tests.support.sample_documents import ADDRESSED, Papers

FONTS = [str(Path(pylopdf_fonts_zh_cn.__file__).parent)]
KEYS = FieldKeys([Fernet.generate_key().decode()])
CHINESE = "王小明"
# Points by which a word's position may differ from the stored one.
TOLERANCE = 2.0


@pytest.fixture(scope="module")
async def conn(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> AsyncIterator[AsyncConnection]:
    async with new_database() as url:
        database = engine(url)
        await upgrade(database)
        async with database.begin() as conn:
            yield conn
        await database.dispose()


def text(document: Document) -> str:
    """Return the text of the first page."""
    return PdfReader(io.BytesIO(render_pdf(document).content)).pages[0].extract_text()


async def found(conn: AsyncConnection, kind: DocumentKind, id_: str) -> Document:
    practice = await practice_of_document(conn, kind, id_)
    assert practice is not None
    document = await read_document(conn, kind, practice, id_, KEYS)
    assert document is not None
    return document


async def test_long_table_repeats_its_head_on_each_page(conn: AsyncConnection) -> None:
    books = await Books.opened(conn)
    document = await found(conn, DocumentKind.INVOICE, await long_invoice(books))
    pages = PdfReader(io.BytesIO(render_pdf(document, FONTS).content)).pages
    assert len(pages) > 5
    for number, page in enumerate(pages, 1):
        shown = page.extract_text()
        assert f"Page {number} of {len(pages)}" in shown
        assert "Unit price" in shown


async def long_invoice(books: Books) -> str:
    id_ = await books.invoice(await books.client(), number="INV-1")
    for position in range(1, 301):
        await books.line(id_, None, position=position)
    return id_


async def test_document_is_pdf_a_and_pdf_ua(conn: AsyncConnection) -> None:
    document = await one(conn)
    reader = PdfReader(io.BytesIO(render_pdf(document).content))
    assert reader.metadata is not None
    assert reader.metadata.title == f"Invoice {document.number}"
    root: Any = reader.trailer["/Root"]
    xmp = root["/Metadata"].get_object().get_data().decode()
    assert re.search(r"pdfaid:part[^\d]*2", xmp)
    assert re.search(r"pdfaid:conformance[^A]*A", xmp)
    assert re.search(r"pdfuaid:part[^\d]*1", xmp)
    assert "/StructTreeRoot" in root


async def one(conn: AsyncConnection, **practice: Any) -> Document:
    books = await Books.opened(conn)
    if practice:
        condition = Practice.id == books.practice
        await conn.execute(update(Practice).where(condition).values(**practice))
    id_ = await books.invoice(await books.client())
    await books.line(id_, None)
    return await found(conn, DocumentKind.INVOICE, id_)


async def test_same_document_has_the_same_bytes(conn: AsyncConnection) -> None:
    document = await one(conn)
    assert render_pdf(document).content == render_pdf(document).content


ADDRESS = {"address_line1": "1 A", "address_city": "B", "address_postal_code": "C"}


@pytest.mark.parametrize(("country", "width"), [("US", 612), ("DE", 595)])
async def test_paper_size_follows_the_practices_country(
    conn: AsyncConnection, country: str, width: int
) -> None:
    document = await one(conn, **ADDRESS, address_country=country)
    (page,) = PdfReader(io.BytesIO(render_pdf(document).content)).pages
    assert round(float(page.mediabox.width)) == width


async def test_money_and_days_follow_the_locale(conn: AsyncConnection) -> None:
    document = await one(conn, locale="de-DE", currency="EUR")
    written = text(document)
    issued: dt.date = document.issued_on
    assert f"{issued:%d.%m.%Y}" in written
    assert re.search(r"\d,\d\d\s€", written)


async def test_document_with_a_missing_font_is_printed_without_archival_format(
    conn: AsyncConnection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typesetting, "SYSTEM_FONTS", False)
    books = await Books.opened(conn)
    id_ = await books.invoice(await books.client(), client_name=CHINESE)
    document = await found(conn, DocumentKind.INVOICE, id_)
    plain, whole = render_pdf(document), render_pdf(document, FONTS)
    assert (plain.is_archival, whole.is_archival) == (False, True)
    assert "no font has all of its characters" in caplog.text
    assert document.number in PdfReader(io.BytesIO(plain.content)).pages[0].extract_text()


ODD_NAMES = (
    *("", " ", "x" * 5_000, "a\u0301" * 99, "\x07\n", "\u202eevil", "\u00ad\u200b"),
    # Characters of no font: private use, joined emoji, noncharacters, a tag.
    *("\ue000", "\U0001f469\u200d\U0001f469", "\ufffe\ufdd0", "\U000e0041"),
)


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_any_name_can_be_printed(conn: AsyncConnection, name: str) -> None:
    books = await Books.opened(conn)
    id_ = await books.invoice(await books.client(), client_name=name, notes=name)
    await books.line(id_, None, description=name)
    document = await found(conn, DocumentKind.INVOICE, id_)
    written = text(document)
    assert document.number in written


async def test_void_invoice_is_marked(conn: AsyncConnection) -> None:
    books = await Books.opened(conn)
    void = {"is_void": True, "voided_on": dt.date(2026, 3, 4)}
    id_ = await books.invoice(await books.client(), **void)
    document = await found(conn, DocumentKind.INVOICE, id_)
    assert "Void since" in text(document)


async def test_superbill_lists_missing_insurance_facts(conn: AsyncConnection) -> None:
    books = await Books.opened(conn)
    head = await books.add(Letterhead, npi=None)
    id_ = await books.add(Superbill, client_id=await books.client(), letterhead_id=head)
    document = await found(conn, DocumentKind.SUPERBILL, id_)
    written = text(document)
    assert "The provider has no NPI." in written
    assert "There is no diagnosis." in written
    assert "s signature" in written


# -- the letterhead --------------------------------------------------------------------------------


async def test_tax_id_is_whole_only_on_superbills(conn: AsyncConnection) -> None:
    books = await Books.opened(conn)
    tax_id = {"tax_id_last4": "6789", "tax_id_encrypted": KEYS.encrypted("12-3456789")}
    head, client = await books.add(Letterhead, **tax_id), await books.client()
    bill = await books.add(Superbill, client_id=client, letterhead_id=head)
    invoice = await books.add(Invoice, client_id=client, letterhead_id=head)
    assert "12-3456789" in text(await found(conn, DocumentKind.SUPERBILL, bill))
    assert "6789" not in text(await found(conn, DocumentKind.INVOICE, invoice))


async def test_tax_id_of_another_key_is_shown_by_its_last_digits(
    conn: AsyncConnection, caplog: pytest.LogCaptureFixture
) -> None:
    books = await Books.opened(conn)
    other = FieldKeys([Fernet.generate_key().decode()])
    tax_id = {"tax_id_last4": "6789", "tax_id_encrypted": other.encrypted("12-3456789")}
    head = await books.add(Letterhead, **tax_id)
    bill = await books.add(Superbill, client_id=await books.client(), letterhead_id=head)
    written = text(await found(conn, DocumentKind.SUPERBILL, bill))
    assert "Tax id ends in" in written
    assert "6789" in written
    assert "12-345" not in written
    assert "FIELD_KEY" in caplog.text


def test_rotated_key_still_decrypts() -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    encrypted = FieldKeys([old]).encrypted("12-3456789")
    assert b"3456789" not in encrypted
    assert FieldKeys([new, old]).read(encrypted) == "12-3456789"
    assert FieldKeys([new]).read(encrypted) is None
    assert FieldKeys().read(encrypted) is None


async def test_logo_is_on_documents_issued_since_its_day(conn: AsyncConnection) -> None:
    books = await Books.opened(conn)
    await books.add(Logo, since=DAY, content=LOGO)
    await books.add(Logo, since=DAY + dt.timedelta(9), content=LOGO.replace(b"#0b6b5d", b"#000"))
    client = await books.client()
    logos = []
    for days in (-1, 0, 8, 9):
        issued = DAY + dt.timedelta(days)
        document = await found(
            conn, DocumentKind.INVOICE, await books.invoice(client, issued_on=issued)
        )
        assert render_pdf(document).is_archival
        logos.append(document.logo)
    assert logos[0] is None
    assert logos[1] == logos[2] == LOGO
    assert logos[3] not in (None, LOGO)


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"<svg", b"\x89PNG\r\n\x1a\n", b'#image("x")', b"\xff" * 100]
)
def test_other_files_are_refused_as_a_logo(content: bytes) -> None:
    assert not can_be_printed(content)
    assert can_be_printed(LOGO)


# -- positions of words ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DocumentKind)
async def test_each_word_stands_at_its_stored_position(
    conn: AsyncConnection, kind: DocumentKind
) -> None:
    """`STORE=1 pytest tests/documents/test_layout.py -k stands` stores new positions: look at the
    pages first.
    """
    books = await Books.opened(conn)
    contact = {"phone": "+1 207 555 0142", "email": "billing@harborlane.example.com"}
    statement = update(Practice).where(Practice.id == books.practice)
    await conn.execute(statement.values(**ADDRESSED, **contact))
    await books.add(Logo, since=DAY, content=LOGO)
    name = kind.lower()
    id_ = await Papers(books, KEYS).add(kind)
    boxes = word_boxes.boxes(render_pdf(await found(conn, kind, id_)).content)
    if os.environ.get("STORE"):
        word_boxes.store(name, boxes)
    assert word_boxes.differences(boxes, word_boxes.stored(name), TOLERANCE) == []


def test_moved_or_missing_word_is_reported() -> None:
    boxes = word_boxes.stored("invoice")
    first = boxes[0]
    for moved in (first._replace(left=first.left + 3), first._replace(word="x")):
        assert word_boxes.differences([moved, *boxes[1:]], boxes, TOLERANCE)
    assert word_boxes.differences(boxes[1:], boxes, TOLERANCE)
    near = first._replace(top=first.top - 1)
    assert word_boxes.differences([near, *boxes[1:]], boxes, TOLERANCE) == []
