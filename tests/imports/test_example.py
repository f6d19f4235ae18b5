"""The worked example of docs/import: its files are those of the command, and they are imported."""

import datetime as dt
import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from pypdf import PdfReader
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.imports.mapping import read_mapping
from demo.export_documents import one_page
from demo.exports import InventedExport
from models import Invoice, Refund
from tests.support.books import findings
from tests.support.import_folders import ImportDesk, import_database

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
EXAMPLE = Path("docs/import")
NOW = dt.datetime(2026, 11, 1, 17, tzinfo=dt.UTC)
LAST_DAY, CLIENTS = dt.date(2026, 10, 31), 3


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, import_database(url) as engine:
        yield engine


@pytest.fixture
async def practice(engine: AsyncEngine, tmp_path: Path) -> ImportDesk:
    return await ImportDesk(engine, tmp_path / "export", NOW).open()


def test_example_is_what_the_command_writes(tmp_path: Path) -> None:
    InventedExport(LAST_DAY, CLIENTS).write(tmp_path)
    assert files(tmp_path) == files(EXAMPLE / "export")


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_pdf_has_a_page_with_its_text() -> None:
    reader = PdfReader(io.BytesIO(one_page(["Invoice 7", "of a practice"])))
    assert reader.pages[0].extract_text().split("\n")[:2] == ["Invoice 7", "of a practice"]


async def test_example_is_imported_by_its_mapping(practice: ImportDesk) -> None:
    mapping = read_mapping((EXAMPLE / "mapping.toml").read_bytes())
    report = await practice.load(EXAMPLE / "export", mapping=mapping)
    assert [str(one) for one in report.faults] == []
    assert report.proof.clients == CLIENTS


@pytest.mark.rest
async def test_larger_export_comes_to_the_balances_of_the_other_system(
    practice: ImportDesk,
) -> None:
    """Every kind of record is in it."""
    InventedExport(LAST_DAY, 60, seed=5).write(practice.path)
    mapping = read_mapping((EXAMPLE / "mapping.toml").read_bytes())
    report = await practice.load(practice.path, mapping=mapping, source="larger")
    assert [str(one) for one in report.faults] == []
    assert report.proof.clients == 60
    kinds = "clinicians clients contacts sessions invoices payments refunds credits adjustments"
    kinds += " superbills documents"
    assert all(report.counts[file]["new"] for file in kinds.split())
    assert any(one["is_void"] for one in await practice.rows(Invoice))
    assert await practice.rows(Refund) == []
    assert await findings(practice.engine, practice.practice_id) == []
    before = await practice.counts()
    await practice.load(practice.path, mapping=mapping, source="larger")
    assert await practice.counts() == before
