"""Imports of folders: their rows, their sums, and that the same folder again changes nothing."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.books import findings
from tests.support.import_folders import ImportDesk, import_database, small_folder

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, import_database(url) as engine:
        yield engine


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> ImportDesk:
    """Return a practice of its own, in the module's database."""
    return await ImportDesk(engine, tmp_path / "export").open()


async def test_folder_is_imported_once(desk: ImportDesk) -> None:
    report = await desk.load(small_folder())
    assert [str(fault) for fault in report.faults] == []
    assert report.is_imported
    assert report.proof.clients == 3
    assert await desk.balances("c1") == (10_000, 0)
    assert await desk.balances("c2") == (12_050, 0)
    assert await desk.balances("c3") == (-4_500, 4_500)
    assert await findings(desk.engine, desk.practice_id) == []
    before = await desk.counts()
    again = await desk.load(small_folder())
    assert again.is_imported
    assert {outcome for counted in again.counts.values() for outcome, number in counted.items()
            if number} == {"same"}  # fmt: skip
    assert await desk.counts() == before
