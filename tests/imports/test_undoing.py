"""Imports that are undone: the balances are what they were, and the same files enter again."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.audit_log import Actor
from billing.entry.commands import EntryContext, enter_for_client
from billing.entry.outside_payments import OutsidePayment, record_payment
from billing.entry.statements import StatementPeriod, issue_statement
from billing.imports.client_undoing import NotUndone
from billing.imports.undoing import UndoReport, undo_import
from models import (
    ActorKind,
    Client,
    DocumentCounter,
    Invoice,
    LedgerEntry,
    PastImport,
    PaymentMethodKind,
    Session,
    Statement,
    Superbill,
)
from tests.support.books import findings
from tests.support.import_folders import (
    Folder,
    ImportDesk,
    add_documents,
    import_database,
    small_folder,
)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, import_database(url) as engine:
        yield engine


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> ImportDesk:
    return await ImportDesk(engine, tmp_path / "export").open()


async def undo(desk: ImportDesk) -> UndoReport:
    """Undo the latest import that was not undone."""
    past = [one for one in await desk.rows(PastImport) if one["undone_at"] is None]
    newest = max(past, key=lambda one: one["imported_at"])
    desk.now += dt.timedelta(seconds=1)

    def actor(practice_id: str) -> Actor:
        return Actor(practice_id, ActorKind.OPERATOR, operation="test", name="Olga")

    return await undo_import(desk.engine, newest["id"], actor, desk.now)


@pytest.mark.twins(1)
async def test_undone_import_leaves_no_balance_and_enters_again(desk: ImportDesk) -> None:
    folder = add_documents(desk.path, small_folder())
    assert (await desk.load(folder)).is_imported
    report = await undo(desk)
    assert report == UndoReport(clients=3, invoices=3, payments=2)
    for client in ("c1", "c2", "c3"):
        assert await desk.balances(client) == (0, 0)
    assert all(one["is_void"] for one in await desk.rows(Invoice))
    shared = await desk.rows(Superbill) + await desk.rows(Statement)
    assert [one["shared_at"] for one in shared] == [None, None]
    assert await findings(desk.engine, desk.practice_id) == []
    counters = {one["kind"]: one["last"] for one in await desk.rows(DocumentCounter)}

    again = await desk.load(folder)
    assert [str(one) for one in again.faults] == []
    assert again.counts["clients"] == {"new": 0, "changed": 0, "same": 3}
    assert again.counts["sessions"] == {"new": 0, "changed": 3, "same": 0}
    assert again.counts["invoices"] == {"new": 3, "changed": 0, "same": 0}
    assert again.counts["documents"] == {"new": 4, "changed": 0, "same": 0}
    assert await desk.balances("c1") == (10_000, 0)
    valid = {one["number"]: one["serial"] for one in await desk.rows(Invoice) if not one["is_void"]}
    assert valid.keys() == {"A-17", "INV-2026-0040"}
    # The serials of the undone invoices are never used again.
    assert all(serial > max(counters.values()) for serial in valid.values())
    assert await findings(desk.engine, desk.practice_id) == []
    assert (await desk.load(folder)).counts["invoices"]["same"] == 3
    await undo(desk)
    assert await desk.balances("c1") == (0, 0)
    assert (await desk.load(folder)).is_imported
    assert await findings(desk.engine, desk.practice_id) == []


async def test_sessions_of_an_undone_import_may_be_corrected(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    await undo(desk)
    folder = small_folder()
    folder["sessions"][0]["fee"] = "120.00"
    folder["invoice_lines"][0]["unit_price"] = "120.00"
    folder["totals"][0]["balance"] = "70.00"
    report = await desk.load(folder)
    assert [str(one) for one in report.faults] == []
    (session,) = await desk.rows(Session, id=await desk.row_of("session", "s1"))
    assert session["fee_minor"] == 12_000
    assert len(await desk.rows(Session)) == 3
    assert len(await desk.rows(Client)) == 3
    assert await findings(desk.engine, desk.practice_id) == []


LATER: Folder = {
    "payments": [{"id": "p9", "client_id": "c2", "paid_on": "2026-03-04", "amount": "100.00",
                  "method": "CASH"}],
    "refunds": [{"id": "r9", "payment_id": "p1", "refunded_on": "2026-03-05", "amount": "50.00"}],
    "credits": [{"id": "g9", "client_id": "c1", "date": "2026-03-06", "amount": "150.00",
                 "description": "Courtesy"}],
    "adjustments": [{"id": "a9", "invoice_id": "i3", "date": "2026-03-07", "kind": "WRITE_OFF",
                     "amount": "10.00", "description": "Sliding scale"}],
}  # fmt: skip


async def test_later_import_is_undone_down_to_the_earlier_one(desk: ImportDesk) -> None:
    """Its payment, refund, credit and write-off are about rows of the earlier import."""
    await desk.load(small_folder())
    before = [await desk.balances(client) for client in ("c1", "c2", "c3")]
    report = await desk.load(LATER)
    assert [str(one) for one in report.faults] == []
    await undo(desk)
    assert [await desk.balances(client) for client in ("c1", "c2", "c3")] == before
    assert await findings(desk.engine, desk.practice_id) == []
    assert (await desk.load(LATER)).counts["credits"]["new"] == 1
    with pytest.raises(NotUndone, match=r"Later entries of 1 clients|Later entries of 2 clients"):
        await undo_earliest(desk)


async def undo_earliest(desk: ImportDesk) -> None:
    first = min(await desk.rows(PastImport), key=lambda one: one["imported_at"])

    def actor(practice_id: str) -> Actor:
        return Actor(practice_id, ActorKind.OPERATOR, operation="test", name="Olga")

    await undo_import(desk.engine, first["id"], actor, desk.now)


async def test_import_with_later_entries_is_not_undone(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    desk.now += dt.timedelta(minutes=1)
    context = EntryContext(desk.engine, lambda: desk.now)
    client = await desk.row_of("client", "c2")
    paid = OutsidePayment(PaymentMethodKind.CASH, 1_000)
    await enter_for_client(context, desk.practice_id, client, record_payment, paid)
    before = await desk.counts()
    with pytest.raises(NotUndone, match="Later entries of 1 clients build on this import"):
        await undo(desk)
    assert await desk.counts() == before


async def test_import_with_a_later_statement_is_not_undone(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    desk.now += dt.timedelta(minutes=1)
    context = EntryContext(desk.engine, lambda: desk.now)
    client = await desk.row_of("client", "c1")
    february = StatementPeriod(dt.date(2026, 2, 1), dt.date(2026, 2, 28))
    await enter_for_client(context, desk.practice_id, client, issue_statement, february)
    with pytest.raises(NotUndone, match="Later entries"):
        await undo(desk)


async def test_import_that_voids_an_earlier_invoice_is_not_undone(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    folder = small_folder()
    folder["invoices"][0]["voided_on"] = "2026-03-05"
    folder["totals"][0] |= {"balance": "-185.00", "unallocated": "185.00"}
    await desk.load(folder)
    with pytest.raises(NotUndone, match="voided invoices of an earlier import"):
        await undo(desk)


async def test_import_is_undone_once(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    entries = await desk.rows(LedgerEntry)
    await undo(desk)
    assert len(await desk.rows(LedgerEntry)) > len(entries)
    with pytest.raises(NotUndone, match="undone before"):
        await undo_earliest(desk)
    # An import that enters nothing is not noted.
    assert (await desk.load(small_folder(), is_trial=True)).fault_count == 0
    assert len(await desk.rows(PastImport)) == 1
