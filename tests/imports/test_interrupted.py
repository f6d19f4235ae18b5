"""Imports during other work: a second import, payments, and a process that is killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.entry.commands import EntryContext, enter_for_client
from billing.entry.outside_payments import OutsidePayment, record_payment
from billing.imports.importing import ImportDisturbed, ImportRun, lock_imports
from billing.ledger.versions import AHEAD
from models import (
    Client,
    Invoice,
    OutboxEvent,
    Payment,
    PaymentMethodKind,
    PracticeVersion,
    Receipt,
    Session,
    Superbill,
)
from tests.support.books import findings
from tests.support.import_folders import (
    Folder,
    ImportDesk,
    add_documents,
    import_database,
    small_folder,
    write_folder,
)
from tests.support.portal import KEY

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
pytestmark = pytest.mark.twins(1)
# The command in a process that kills itself when all rows are written, before they are committed.
KILLED = """
import os, signal, sys
from billing.imports.importing import ImportRun
from server.cli.main import app
ImportRun.compare_totals = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
app()
"""


@pytest.fixture(scope="module")
async def database(new_database: NewDatabase) -> AsyncIterator[tuple[str, AsyncEngine]]:
    async with new_database() as url, import_database(url) as engine:
        yield url, engine


@pytest.fixture
async def desk(database: tuple[str, AsyncEngine], tmp_path: Path) -> ImportDesk:
    _, engine = database
    return await ImportDesk(engine, tmp_path / "export").open()


@pytest.fixture
def on_postgresql(database: tuple[str, AsyncEngine]) -> None:
    _, engine = database
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")


@pytest.mark.usefixtures("on_postgresql")
async def test_second_import_of_the_practice_is_kept_out(desk: ImportDesk, tmp_path: Path) -> None:
    other = await ImportDesk(desk.engine, tmp_path / "other").open()
    async with desk.engine.begin() as conn:
        await lock_imports(conn, desk.practice_id)
        with pytest.raises(ImportDisturbed, match="Another import"):
            await desk.load(small_folder())
        assert (await other.load(small_folder())).is_imported
    assert (await desk.load(small_folder())).is_imported


@pytest.mark.usefixtures("on_postgresql")
async def test_payments_go_on_during_an_import(
    desk: ImportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client pays when all rows of the import are written and none is committed."""
    await desk.load(small_folder())
    client = await desk.row_of("client", "c1")
    context = EntryContext(desk.engine, lambda: desk.now)
    paid = OutsidePayment(PaymentMethodKind.CASH, 4_000)
    compare = ImportRun.compare_totals

    async def pay_and_compare(run: ImportRun, *given: object) -> None:
        await enter_for_client(context, desk.practice_id, client, record_payment, paid)
        await compare(run, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(ImportRun, "compare_totals", pay_and_compare)
    later: Folder = {
        "payments": [
            {"id": f"p{nth}", "client_id": "c2", "paid_on": "2026-03-20", "amount": "10.00",
             "method": "CASH"} for nth in range(10, 30)
        ],
    }  # fmt: skip
    report = await desk.load(later)
    assert [str(one) for one in report.faults] == []
    assert await desk.balances("c1") == (6_000, 0)
    assert len(await desk.rows(Payment, amount_minor=4_000)) == 1
    receipts = [one["serial"] for one in await desk.rows(Receipt)]
    assert sorted(receipts) == list(range(1, 24))
    versions = {one["version"] for one in await desk.rows(Payment, amount_minor=1_000)}
    (own,) = await desk.rows(Payment, amount_minor=4_000)
    assert versions == {await desk.version()}
    assert own["version"] < min(versions)
    assert await findings(desk.engine, desk.practice_id) == []


@pytest.mark.usefixtures("on_postgresql")
async def test_versions_of_others_may_pass_the_import(
    desk: ImportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The practice's version becomes higher than that of the rows that wait to be committed."""
    compare, passed = ImportRun.compare_totals, 3 * AHEAD

    async def count_and_compare(run: ImportRun, *given: object) -> None:
        async with desk.engine.begin() as conn:
            row = {"practice_id": desk.practice_id, "version": passed}
            await conn.execute(insert(PracticeVersion).values(row))
        await compare(run, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(ImportRun, "compare_totals", count_and_compare)
    assert (await desk.load(small_folder())).is_imported
    assert await desk.version() == passed + 1
    for table in (Client, Session, Invoice, Payment, Superbill, OutboxEvent):
        assert {one["version"] for one in await desk.rows(table)} == {passed + 1}


async def test_killed_import_leaves_nothing(
    desk: ImportDesk, database: tuple[str, AsyncEngine]
) -> None:
    url, _ = database
    """PDFs and superbills are written too. The next import enters everything."""
    folder = add_documents(desk.path, small_folder())
    path = write_folder(desk.path, folder)
    before = await desk.counts()
    own = "--practice", f"pra_{desk.practice_id}", "--source", "ehr"
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, "import", str(path), *own,
        env=os.environ | {"DATABASE_URL": url, "TOKEN_KEY": KEY},
    )  # fmt: skip
    assert await killed.wait() == -signal.SIGKILL
    assert await desk.counts() == before
    report = await desk.load(folder)
    assert report.counts["documents"] == {"new": 4, "changed": 0, "same": 0}
    assert await findings(desk.engine, desk.practice_id) == []
