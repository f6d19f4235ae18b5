"""Imported documents: superbills, and the PDFs that the other system gave out."""

import datetime as dt
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.documents.printer import Printer
from billing.imports import attachments, importing
from billing.imports.folders import NotAFolder
from billing.imports.importing import ImportDisturbed
from identity.tokens import Subject
from models import (
    DocumentCounter,
    DocumentKind,
    Invoice,
    Letterhead,
    PrintedDocument,
    Receipt,
    Statement,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)
from tests.support.books import findings
from tests.support.document_links import BASE, get, link
from tests.support.import_folders import (
    Folder,
    ImportDesk,
    add_documents,
    import_database,
    pdf,
    small_folder,
    write_folder,
)
from tests.support.portal import served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, import_database(url) as engine:
        yield engine


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> ImportDesk:
    """Return a practice of its own, in the module's database."""
    return await ImportDesk(engine, tmp_path / "export").open()


async def test_superbill_has_its_lines_providers_and_diagnoses(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    (superbill,) = await desk.rows(Superbill)
    heads = {one["id"]: one["name"] for one in await desk.rows(Letterhead)}
    assert (superbill["number"], superbill["serial"]) == ("B-7", 1)
    assert superbill["version"] == await desk.version()
    assert heads[superbill["letterhead_id"]] != "Ruth Adeyemi"
    assert heads[superbill["rendering_letterhead_id"]] == "Ruth Adeyemi"
    lines = [
        (one["position"], one["modifiers"], one["diagnosis_pointers"], one["units_hundredths"],
         one["fee_minor"], one["paid_minor"])
        for one in await desk.rows(SuperbillLine)
    ]  # fmt: skip
    assert lines == [
        (1, ["95", "GT"], [2], 100, 15_000, 15_000),
        (2, [], [1, 2], 150, 15_000, 0),
    ]
    session = await desk.row_of("session", "s1")
    assert [one["session_id"] for one in await desk.rows(SuperbillLine)] == [session, None]
    diagnoses = [(one["position"], one["code"]) for one in await desk.rows(SuperbillDiagnosis)]
    assert diagnoses == [(1, "F41.1"), (2, "F32.1")]
    counters = {one["kind"]: one["last"] for one in await desk.rows(DocumentCounter)}
    assert counters[DocumentKind.SUPERBILL] == 1
    assert await findings(desk.engine, desk.practice_id) == []


async def test_superbill_of_one_provider_names_no_other(desk: ImportDesk) -> None:
    folder = small_folder()
    folder["superbills"][0]["billing_clinician_id"] = "t1"
    folder["superbills"][0]["number"] = "SB-2026-0019"
    await desk.load(folder)
    (superbill,) = await desk.rows(Superbill)
    assert (superbill["rendering_letterhead_id"], superbill["serial"]) == (None, 19)


async def test_superbill_never_changes(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    folder = small_folder()
    folder["superbill_diagnoses"][0]["code"] = "F41.9"
    assert [str(one) for one in (await desk.load(folder)).faults] == [
        "superbills.csv:2: was entered before with other values: leave it as it was; a corrected"
        " superbill needs an id of its own"
    ]


WRONG = (
    ("superbill_lines", {"date": "2026-02-02"},
     "superbill_lines.csv:2:date: is outside the period of the superbill: correct the day, or the"
     " period"),
    ("superbill_lines", {"diagnoses": "1 3"},
     "superbill_lines.csv:2:diagnoses: has a position that superbill_diagnoses.csv has not for this"
     " superbill: correct the positions, or add the diagnosis"),
    ("superbill_lines", {"session_id": "s3"},
     "superbill_lines.csv:2:session_id: names the session of another client: correct the id"),
    ("superbill_lines", {"modifiers": "95 95"},
     "superbill_lines.csv:2:modifiers: has a value twice: write modifiers as 95 GT, at most four"),
    ("superbills", {"period_end": "2025-12-31"},
     "superbills.csv:2:period_end: is before period_start: correct one of the two days"),
    ("superbills", {"rendering_clinician_id": "t9"},
     "superbills.csv:2:rendering_clinician_id: names no clinician of clinicians.csv or of an"
     " earlier import: correct it, or add the clinician"),
    ("superbill_diagnoses", {"superbill_id": "b9"},
     "superbill_diagnoses.csv:2:superbill_id: names no superbill of superbills.csv or of an earlier"
     " import: correct it, or add the superbill"),
)  # fmt: skip


@pytest.mark.parametrize(("file", "values", "told"), WRONG, ids=[one[2][:40] for one in WRONG])
async def test_wrong_superbill_is_refused(
    desk: ImportDesk, file: str, values: dict[str, str], told: str
) -> None:
    folder: Folder = small_folder()
    folder[file][0] |= values
    report = await desk.load(folder)
    assert told in [str(one) for one in report.faults]
    assert await desk.rows(Superbill) == []


# -- PDFs ------------------------------------------------------------------------------------------


async def test_pdfs_are_kept_byte_for_byte_for_their_documents(desk: ImportDesk) -> None:
    folder = add_documents(desk.path, small_folder())
    report = await desk.load(folder)
    assert [str(one) for one in report.faults] == []
    (invoice,), (superbill,) = await desk.rows(Invoice, number="A-17"), await desk.rows(Superbill)
    (receipt,) = await desk.rows(Receipt, payment_id=await desk.row_of("payment", "p1"))
    (statement,) = await desk.rows(Statement)
    kept = {
        (one["kind"], one["document_id"]): one["content"]
        for one in await desk.rows(PrintedDocument)
    }
    assert kept == {
        (DocumentKind.INVOICE, invoice["id"]): pdf("d1"),
        (DocumentKind.SUPERBILL, superbill["id"]): pdf("d2"),
        (DocumentKind.RECEIPT, receipt["id"]): pdf("d3"),
        (DocumentKind.STATEMENT, statement["id"]): pdf("d4"),
    }
    own = ("number", "serial", "issued_on", "beginning_minor", "ending_minor")
    assert [statement[name] for name in own] == ["S-3", 1, dt.date(2026, 3, 2), 30_000, 10_000]
    assert await findings(desk.engine, desk.practice_id) == []
    before = await desk.counts()
    again = await desk.load(folder)
    assert again.counts["documents"] == {"new": 0, "changed": 0, "same": 4}
    assert await desk.counts() == before


async def test_client_opens_a_kept_pdf_through_the_portal(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    async with new_database() as url, served(url, public_url=BASE) as portal:
        desk = await ImportDesk(portal.engine, tmp_path / "export", portal.clock()).open()
        report = await desk.load(add_documents(desk.path, small_folder()))
        assert [str(one) for one in report.faults] == []
        client = Subject(desk.practice_id, client_id=await desk.row_of("client", "c1"))
        token = await portal.token(client)
        for prefix, name, number in (("inv", "invoice", "i1"), ("sbl", "superbill", "b1")):
            id_ = f"{prefix}_{await desk.row_of(name, number)}"
            links = await link(portal, id_, token)
            response = await get(portal, links["downloadUrl"])
            assert response.content == pdf("d1" if name == "invoice" else "d2")
            assert response.headers["content-type"] == "application/pdf"
            assert response.headers["content-disposition"].startswith("attachment")


async def test_pdf_of_an_earlier_imports_records(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    folder = add_documents(desk.path, small_folder())
    later = {name: folder[name] for name in ("documents",)}
    report = await desk.load(later)
    assert [str(one) for one in report.faults] == []
    assert len(await desk.rows(PrintedDocument)) == 4
    assert await findings(desk.engine, desk.practice_id) == []


async def test_document_that_was_given_out_keeps_its_bytes(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    invoice = await desk.row_of("invoice", "i1")
    printer = Printer(desk.engine, lambda: desk.now)
    try:
        assert await printer.print(DocumentKind.INVOICE, desk.practice_id, invoice)
    finally:
        printer.close()
    report = await desk.load(add_documents(desk.path, small_folder()))
    assert [str(one) for one in report.faults] == [
        "documents.csv:2:file: is of a document that the portal has given out already: leave the"
        " row out"
    ]


def put(name: str, content: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).write_bytes(content)

    return change


def nothing(path: Path) -> None:
    """Leave the files as they are."""


NO_FILE = "documents.csv:2:file: is no file of the folder: add the PDF, or correct its path"
WRONG_PDFS: tuple[tuple[str, dict[str, str], Callable[[Path], None], str], ...] = (
    ("a path out of the folder", {"file": "../secret.pdf"}, nothing, NO_FILE),
    ("an absolute path", {"file": "/etc/passwd"}, nothing, NO_FILE),
    ("a path with a detour", {"file": "old/../old/d1.pdf"}, nothing, NO_FILE),
    ("a CSV file", {"file": "clients.csv"}, nothing, NO_FILE),
    ("no PDF", {}, put("old/d1.pdf", b"PK\x03\x04"),
     "documents.csv:2:file: is no PDF: put the document there as PDF"),
    ("an empty file", {}, put("old/d1.pdf", b""),
     "documents.csv:2:file: is no PDF: put the document there as PDF"),
    ("a large file", {}, put("old/d1.pdf", pdf("x" * 5_000)),
     "documents.csv:2:file: is larger than 4,000 bytes: make the PDF smaller, or leave it out"),
    ("one file twice", {"file": "old/d2.pdf"}, nothing,
     "documents.csv:3:file: is the file of line 2 too: give each document a file of its own"),
    ("a PDF without a row", {}, put("old/d9.pdf", pdf()),
     "old/d9.pdf: is the PDF of no document: add its document to documents.csv, or leave the file"
     " out"),
    ("an invoice of another client", {"invoice_id": "i3"}, nothing,
     "documents.csv:2:invoice_id: names the invoice of another client: correct the id"),
    ("a receipt with an invoice", {"kind": "RECEIPT", "payment_id": "p1"}, nothing,
     "documents.csv:2:invoice_id: does not belong to this kind: leave it empty for the kind"
     " RECEIPT"),
    ("an invoice without its id", {"invoice_id": ""}, nothing,
     "documents.csv:2:invoice_id: is empty: a document of the kind INVOICE needs it"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "change", "told"),
    [one[1:] for one in WRONG_PDFS],
    ids=[one[0] for one in WRONG_PDFS],
)
async def test_wrong_pdf_is_refused(
    desk: ImportDesk,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, str],
    change: Callable[[Path], None],
    told: str,
) -> None:
    monkeypatch.setattr(attachments, "LARGEST_PDF", 4_000)
    folder = add_documents(desk.path, small_folder())
    folder["documents"][0] |= values
    change(desk.path)
    report = await desk.load(folder)
    assert told in [str(one) for one in report.faults]
    assert await desk.rows(PrintedDocument) == []


async def test_pdf_that_changes_during_the_import(
    desk: ImportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, checked = add_documents(desk.path, small_folder()), attachments.check_attachments

    def change_then(*given: Any) -> None:
        checked(*given)
        (desk.path / "old" / "d1.pdf").write_bytes(pdf("another"))

    monkeypatch.setattr(importing, "check_attachments", change_then)
    with pytest.raises(ImportDisturbed, match="PDF has changed"):
        await desk.load(folder)
    assert await desk.rows(Superbill) == []


async def test_symbolic_link_is_refused(desk: ImportDesk, tmp_path: Path) -> None:
    path = write_folder(desk.path, add_documents(desk.path, small_folder()))
    secret = tmp_path / "secret.pdf"
    secret.write_bytes(pdf("secret"))
    (path / "old" / "d1.pdf").unlink()
    (path / "old" / "d1.pdf").symlink_to(secret)
    with pytest.raises(NotAFolder, match="symbolic link"):
        await desk.load(path)


STRANGE = {
    "out of the archive": ("../d1.pdf", 0),
    "absolute": ("/old/d1.pdf", 0),
    "with backslashes": ("old\\d1.pdf", 0),
    "a symbolic link": ("old/d9.pdf", 0o120777 << 16),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_zip_file_with_a_strange_name(
    desk: ImportDesk, tmp_path: Path, strange: tuple[str, int]
) -> None:
    path = write_folder(desk.path, add_documents(desk.path, small_folder()))
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in path.glob("**/*.*"):
            packed.write(file, file.relative_to(path).as_posix())
    assert (await desk.load(archive)).is_imported
    entry = zipfile.ZipInfo(strange[0])
    entry.external_attr = strange[1]
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(entry, b"%PDF-")
    with pytest.raises(NotAFolder, match=r"outside of it|symbolic link"):
        await desk.load(archive)
