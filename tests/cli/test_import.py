"""`portal import`: the report, and the exit code for programs."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from server.cli import main as cli
from server.cli.import_records import progress_bar
from tests.support.books import findings
from tests.support.import_folders import (
    ImportDesk,
    import_database,
    small_folder,
    write_folder,
)
from tests.support.portal import KEY

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def practice(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[ImportDesk]:
    async with new_database() as url, import_database(url) as engine:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("TOKEN_KEY", KEY)
        yield await ImportDesk(engine, tmp_path / "export").open()


async def portal(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli.app, ["import", *arguments])


async def test_folder_is_tried_imported_and_imported_again(practice: ImportDesk) -> None:
    path = str(write_folder(practice.path, small_folder()))
    own = "--practice", f"pra_{practice.practice_id}", "--source", "ehr"
    trial = await portal(path, *own, "--dry-run")
    assert trial.exit_code == 0, trial.output
    assert trial.stdout.splitlines()[-2:] == [
        "The balances of 3 clients are those of totals.csv.",
        "A trial: everything was rolled back.",
    ]
    done = await portal(path, *own)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "Imported.")
    assert "payments                 2 new         0 changed         0 same" in done.stdout
    again = json.loads((await portal(path, *own, "--json")).stdout)
    assert again["imported"]
    assert again["records"]["invoices"] == {"new": 0, "changed": 0, "same": 3}
    assert await findings(practice.engine, practice.practice_id) == []


async def test_refusal_lists_the_faults_and_the_rows_behind_a_total(practice: ImportDesk) -> None:
    folder = small_folder()
    folder["totals"][0]["balance"] = "300.00"
    path = str(write_folder(practice.path, folder))
    own = "--practice", f"pra_{practice.practice_id}"
    refused = await portal(path, *own)
    assert refused.exit_code == 1
    assert refused.stdout.splitlines() == [
        "totals.csv:2:balance: says 300.00, and the ledger comes to 100.00 (-200.00 more): correct"
        " the records, or the balance in the other system; the rows are listed below",
        "client c1:",
        "  2026-01-31  SESSION          150.00  invoice i1",
        "  2026-01-31  SESSION          150.00  invoice i1",
        "  2026-02-01  PAYMENT         -200.00  payment p1",
        "  2026-02-09  REFUND            20.00  payment p1",
        "  2026-02-10  CREDIT            -5.00",
        "  2026-02-11  WRITE_OFF        -12.00  invoice i1",
        "  2026-02-12  ADJUSTMENT        -3.00  invoice i1",
        "Nothing was imported: 1 faults.",
    ]
    told = json.loads((await portal(path, *own, "--json")).stdout)
    assert (told["imported"], told["faultCount"]) == (False, 1)
    assert told["faults"][0]["code"] == "BALANCE_DIFFERS"


async def test_wrong_arguments(practice: ImportDesk, tmp_path: Path) -> None:
    path = str(write_folder(practice.path, small_folder()))
    missing = await portal(str(tmp_path / "nowhere"), "--practice", f"pra_{practice.practice_id}")
    assert (missing.exit_code, "neither a folder nor a ZIP" in missing.stderr) == (1, True)
    stranger = await portal(path, "--practice", "pra_1")
    assert (stranger.exit_code, stranger.stderr) == (1, "There is no practice pra_1.\n")
    assert (await portal(path)).exit_code == 2


async def test_import_is_listed_and_undone(practice: ImportDesk) -> None:
    path = str(write_folder(practice.path, small_folder()))
    own = "--practice", f"pra_{practice.practice_id}"
    await portal(path, *own)

    async def imports(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, cli.app, ["imports", *arguments])

    (listed,) = json.loads((await imports("list", *own, "--json")).stdout)
    assert (listed["source"], listed["new"], listed["undone_at"]) == ("import", 19, None)
    assert listed["id"] in (await imports("list", *own)).stdout
    undone = await imports("undo", listed["id"])
    assert (undone.exit_code, undone.stdout) == (
        0, "Undone: 3 invoices are void, and 2 payments are reversed, of 3 clients.\n"
    )  # fmt: skip
    assert "undone" in (await imports("list", *own)).stdout
    again = await imports("undo", listed["id"])
    assert (again.exit_code, again.stderr.strip()) == (1, "The import was undone before.")
    assert (await portal(path, *own)).exit_code == 0
    assert await findings(practice.engine, practice.practice_id) == []


async def test_progress_is_shown_on_a_terminal_alone() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown, hidden, unwanted = Terminal(), io.StringIO(), Terminal()
    for stream, is_wanted in ((shown, True), (hidden, True), (unwanted, False)):
        with progress_bar(stream, is_wanted=is_wanted) as progress:
            for part in (0.0, 0.25, 0.5, 1.0):
                progress(part)
    assert "Importing" in shown.getvalue()
    assert "100%" in shown.getvalue()
    assert hidden.getvalue() == unwanted.getvalue() == ""
