"""Folders with a random fault: refused at the right place and without a trace, or they balance."""

import csv
import dataclasses
import io
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.imports.folder_balances import folder_balances
from tests.imports.mutations import Mutation, mutated
from tests.support import shares
from tests.support.books import findings
from tests.support.import_folders import (
    Folder,
    ImportDesk,
    add_documents,
    import_database,
    small_folder,
    write_folder,
)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
FOLDERS = shares.number(1_000, quick=20)
TOGETHER = 20


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, import_database(url) as engine:
        yield engine


@pytest.mark.parametrize("first", range(0, FOLDERS, TOGETHER))
async def test_mutated_folder_is_refused_or_balances(
    engine: AsyncEngine, tmp_path: Path, first: int
) -> None:
    """Each folder is imported into a practice of its own."""
    outcomes = Counter[str]()
    for seed in range(first, first + TOGETHER):
        desk = await ImportDesk(engine, tmp_path / "export").open()
        folder = add_documents(desk.path, small_folder())
        outcomes[await outcome(desk, mutated(seed, folder))] += 1
        shutil.rmtree(desk.path)
    assert outcomes["refused"] > TOGETHER // 4, outcomes


async def outcome(desk: ImportDesk, mutation: Mutation) -> str:
    path = mutation.write(desk.path)
    before = await desk.counts()
    report = await desk.load(path)
    if report.is_imported:
        await check_balances(desk, read_folder(path), mutation)
        assert await findings(desk.engine, desk.practice_id) == [], mutation.name
        counts = await desk.counts()
        assert (await desk.load(path)).is_imported, mutation.name
        assert await desk.counts() == counts, mutation.name
        return "imported"
    assert report.faults, mutation.name
    assert await desk.counts() == before, mutation.name
    if mutation.places is not None:
        places = {(fault.file, fault.line) for fault in report.faults}
        told = [str(fault) for fault in report.faults]
        assert places & mutation.places, (mutation.name, told)
        assert places <= mutation.places, (mutation.name, told)
    return "refused"


async def check_balances(desk: ImportDesk, folder: Folder, mutation: Mutation) -> None:
    expected = folder_balances(folder)
    for client, balance in expected.items():
        found, unallocated = await desk.balances(client)
        assert Decimal(found) / 100 == balance, (mutation.name, client)
        assert unallocated >= 0
    for row in folder.get("totals", ()):
        assert Decimal(row["balance"]) == expected.get(row["client_id"], 0), mutation.name


def read_folder(path: Path) -> Folder:
    """Return the records of the files as they are, read by the rules of the format."""
    folder: Folder = {}
    for file in path.glob("*.csv"):
        text = file.read_bytes().decode("utf-8-sig")
        mark = max(",;", key=text.partition("\n")[0].count)
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark)
        folder[file.stem] = [
            {name.strip(): (value or "").strip() for name, value in row.items() if name}
            for row in rows
            if any(value for name, value in row.items() if name)
        ]
    return folder


async def test_balances_of_the_small_folder(engine: AsyncEngine, tmp_path: Path) -> None:
    """The independent sums are right, and a fault of the import itself would be found."""
    desk = await ImportDesk(engine, tmp_path / "export").open()
    write_folder(desk.path, small_folder())
    mutation = Mutation("none", small_folder())
    assert await outcome(desk, mutation) == "imported"
    wrong = dataclasses.replace(mutation, name="wrong")
    folder = small_folder()
    folder["payments"][0]["amount"] = "199.00"
    with pytest.raises(AssertionError):
        await check_balances(desk, folder, wrong)
