"""Imported documents: superbills with their lines, providers and diagnoses."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from models import (
    DocumentCounter,
    DocumentKind,
    Letterhead,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)
from tests.support.books import findings
from tests.support.import_folders import Folder, ImportDesk, import_database, small_folder

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, import_database(url) as engine:
        yield engine


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> ImportDesk:
    """Return a practice of its own, in the module's database."""
    return await ImportDesk(engine, tmp_path / "export").open()


@pytest.mark.twins(1)
async def test_superbill_has_its_lines_providers_and_diagnoses(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    (superbill,) = await desk.rows(Superbill)
    heads = {one["id"]: one["name"] for one in await desk.rows(Letterhead)}
    assert (superbill["number"], superbill["serial"], superbill["version"]) == ("B-7", 1, 1)
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


@pytest.mark.twins(1)
@pytest.mark.parametrize(("file", "values", "told"), WRONG, ids=[one[2][:40] for one in WRONG])
async def test_wrong_superbill_is_refused(
    desk: ImportDesk, file: str, values: dict[str, str], told: str
) -> None:
    folder: Folder = small_folder()
    folder[file][0] |= values
    report = await desk.load(folder)
    assert told in [str(one) for one in report.faults]
    assert await desk.rows(Superbill) == []
