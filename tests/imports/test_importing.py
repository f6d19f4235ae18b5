"""Imports of folders: their rows, their sums, and that the same folder again changes nothing."""

import datetime as dt
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.entry.commands import EntryContext, enter_for_client
from billing.entry.statements import StatementPeriod, issue_statement
from billing.outbox import recording
from models import (
    AccessEntry,
    Allocation,
    Client,
    ClientNamePart,
    ContactRight,
    DocumentCounter,
    DocumentKind,
    EntryKind,
    EventKind,
    Invoice,
    LedgerEntry,
    OutboxEvent,
    Payment,
    PaymentState,
    Receipt,
    Session,
)
from models.ids import new_id
from models.row import written
from tests.support.books import findings
from tests.support.import_folders import (
    Folder,
    ImportDesk,
    import_database,
    small_folder,
    write_folder,
)

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


async def test_rows_are_those_of_the_files_days(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    client = await desk.row_of("client", "c1")
    entries = await desk.rows(LedgerEntry, client_id=client)
    assert [(one["kind"], one["date"], one["posted_on"]) for one in entries] == [
        (EntryKind.SESSION, dt.date(2026, 1, 5), dt.date(2026, 1, 31)),
        (EntryKind.SESSION, dt.date(2026, 1, 12), dt.date(2026, 1, 31)),
        (EntryKind.PAYMENT, dt.date(2026, 2, 1), dt.date(2026, 2, 1)),
        (EntryKind.REFUND, dt.date(2026, 2, 9), dt.date(2026, 2, 9)),
        (EntryKind.CREDIT, dt.date(2026, 2, 10), dt.date(2026, 2, 10)),
        (EntryKind.WRITE_OFF, dt.date(2026, 2, 11), dt.date(2026, 2, 11)),
        (EntryKind.ADJUSTMENT, dt.date(2026, 2, 12), dt.date(2026, 2, 12)),
    ]
    assert entries[2]["description"] == "Payment by check 1042"
    (session,) = await desk.rows(Session, id=await desk.row_of("session", "s1"))
    assert session["starts_at"] == dt.datetime(2026, 1, 5, 14, tzinfo=dt.UTC)
    (payment,) = await desk.rows(Payment, id=await desk.row_of("payment", "p1"))
    assert payment["created_on"] == dt.date(2026, 2, 1)
    put = [
        (one["payment_id"], one["is_credit"], one["amount_minor"])
        for one in await desk.rows(Allocation, client_id=client)
    ]
    own = payment["id"]
    assert put == [(own, False, 20_000), (own, False, -2_000), (None, True, 500)]


async def test_numbers_are_kept_and_counters_continue_after_them(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    invoices = {one["number"]: one["serial"] for one in await desk.rows(Invoice)}
    assert invoices == {"A-17": 41, "INV-2026-0040": 40, "INV-2026-0042": 42}
    receipts = [one["number"] for one in await desk.rows(Receipt)]
    assert sorted(receipts) == ["RCP-2026-0001", "RCP-2026-0002"]
    counters = {one["kind"]: one["last"] for one in await desk.rows(DocumentCounter)}
    kinds = DocumentKind.INVOICE, DocumentKind.RECEIPT, DocumentKind.SUPERBILL
    assert counters == dict(zip(kinds, (42, 2, 1), strict=True))


@pytest.mark.twins(1)
async def test_refused_import_gives_its_numbers_back(desk: ImportDesk) -> None:
    folder = small_folder()
    folder["totals"][0]["balance"] = "1.00"
    assert not (await desk.load(folder)).is_imported
    assert {one["last"] for one in await desk.rows(DocumentCounter)} <= {0}


async def test_trial_does_everything_and_rolls_it_back(desk: ImportDesk) -> None:
    before = await desk.counts()
    report = await desk.load(small_folder(), is_trial=True)
    assert (report.is_imported, report.fault_count) == (False, 0)
    assert report.counts["payments"] == {"new": 2, "changed": 0, "same": 0}
    assert report.proof.clients == 3
    assert await desk.counts() == before


async def test_changes_are_stamped_and_audited(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    versions = {one["version"] for one in await desk.rows(Invoice) + await desk.rows(Payment)}
    assert versions == {await desk.version()}
    audited = await desk.rows(AccessEntry)
    clients = {await desk.row_of("client", name) for name in ("c1", "c2", "c3")}
    assert {one["client_id"] for one in audited} == clients
    assert {(one["name"], one["operation"]) for one in audited} == {("Olga", "test")}


async def test_each_new_row_has_an_event(desk: ImportDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "ROWS_AT_ONCE", 2)
    await desk.load(small_folder())
    events = await desk.rows(OutboxEvent)
    assert [one["position"] for one in events] == [*range(1, len(events) + 1)]
    for kind, table in (
        (EventKind.CLIENT_CREATED, Client),
        (EventKind.SESSION_CREATED, Session),
        (EventKind.INVOICE_ISSUED, Invoice),
        (EventKind.PAYMENT_CREATED, Payment),
    ):
        told = [one["row_id"] for one in events if one["kind"] == kind]
        assert told == [one["id"] for one in await desk.rows(table)]


async def test_details_of_people_follow_the_files(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    folder = small_folder()
    folder["clients"][0] |= {"name": "Ana Prieto Ruiz", "email": "ana.ruiz@example.com"}
    folder["contacts"][0]["can_pay"] = "no"
    report = await desk.load(folder)
    assert report.counts["clients"] == {"new": 0, "changed": 1, "same": 2}
    assert report.counts["contacts"] == {"new": 0, "changed": 1, "same": 0}
    (client,) = await desk.rows(Client, id=await desk.row_of("client", "c1"))
    assert client["email"] == "ana.ruiz@example.com"
    parts = await desk.rows(ClientNamePart, client_id=client["id"])
    assert [one["text"] for one in parts] == ["ana prieto ruiz", "prieto ruiz", "ruiz"]
    (right,) = await desk.rows(ContactRight)
    assert (right["sees_documents"], right["can_pay"]) == (True, False)


async def test_last_day_of_a_contacts_right_follows_the_files(desk: ImportDesk) -> None:
    folder, days, audited = small_folder(), [], []
    for day in ("", "2027-06-30", "2027-06-30", "2026-01-31", ""):
        folder["contacts"][0]["until"] = day
        report = await desk.load(folder)
        assert [str(one) for one in report.faults] == []
        (right,) = await desk.rows(ContactRight)
        days.append(right["until"] and right["until"].isoformat())
        client_id = right["client_id"]
        audited.append(len(await desk.rows(AccessEntry, client_id=client_id)))
    assert days == [None, "2027-06-30", "2027-06-30", "2026-01-31", None]
    # Each change is an entry of the client's audit log, and the same day again is none.
    first = audited[0]
    assert audited == [first, first + 1, first + 1, first + 2, first + 3]


async def test_later_records_of_known_clients_are_added(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    later: Folder = {
        "sessions": [{"id": "s9", "client_id": "c1", "date": "2026-03-02",
                      "description": "Psychotherapy", "fee": "150.00"}],
        "invoices": [{"id": "i9", "client_id": "c1", "issued_on": "2026-03-03"}],
        "invoice_lines": [{"invoice_id": "i9", "session_id": "s9", "unit_price": "150.00"}],
        "payments": [{"id": "p9", "client_id": "c1", "paid_on": "2026-03-04", "amount": "120.00",
                      "method": "CASH"}],
        "totals": [{"client_id": "c1", "balance": "130.00"}],
    }  # fmt: skip
    report = await desk.load(later)
    assert [str(one) for one in report.faults] == []
    assert await desk.balances("c1") == (13_000, 0)
    assert await findings(desk.engine, desk.practice_id) == []
    # The oldest invoice is paid first, and its version tells of it.
    (oldest,) = await desk.rows(Invoice, number="A-17")
    assert oldest["version"] == await desk.version()


async def test_details_of_an_issued_invoice_follow_the_files(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    folder = small_folder()
    folder["invoices"][0] |= {"due_on": "2026-03-31", "notes": "By post", "shared": "no"}
    for row in folder["invoices"][1:]:
        row["shared"] = ""
    report = await desk.load(folder)
    assert [str(one) for one in report.faults] == []
    assert report.counts["invoices"] == {"new": 0, "changed": 1, "same": 2}
    (invoice,) = await desk.rows(Invoice, number="A-17")
    assert (invoice["due_on"], invoice["notes"]) == (dt.date(2026, 3, 31), "By post")
    assert (invoice["shared_at"], invoice["version"]) == (None, await desk.version())
    audited = [one["client_id"] for one in await desk.rows(AccessEntry)]
    assert audited.count(invoice["client_id"]) == 2
    assert (await desk.load(folder)).counts["invoices"] == {"new": 0, "changed": 0, "same": 3}
    # Shared again, the invoice is shared from that day on.
    assert (await desk.load(small_folder())).counts["invoices"]["changed"] == 1
    (invoice,) = await desk.rows(Invoice, number="A-17")
    assert invoice["shared_at"] == desk.now


async def test_archived_client_follows_the_files(desk: ImportDesk) -> None:
    folder = small_folder()
    for row in folder["clients"]:
        row["archived_on"] = ""
    folder["clients"][0]["archived_on"] = "2026-03-01"
    await desk.load(folder)
    first = await desk.version()

    async def archived() -> list[dt.date | None]:
        ids = [await desk.row_of("client", name) for name in ("c1", "c2")]
        return [(await desk.rows(Client, id=one))[0]["archived_on"] for one in ids]

    assert await archived() == [dt.date(2026, 3, 1), None]
    assert (await desk.load(folder)).counts["clients"] == {"new": 0, "changed": 0, "same": 3}
    folder["clients"][1]["archived_on"] = "2026-03-02"
    folder["clients"][0]["archived_on"] = ""
    assert (await desk.load(folder)).counts["clients"] == {"new": 0, "changed": 2, "same": 1}
    assert await archived() == [None, dt.date(2026, 3, 2)]
    versions = {one["name"]: one["version"] for one in await desk.rows(Client)}
    last = await desk.version()
    assert versions == {"Ana Prieto": last, "Ben Osei": last, "Cleo Tan": first}
    folder["clients"][2]["archived_on"] = "2026-04-02"
    assert [str(one) for one in (await desk.load(folder)).faults] == [
        "clients.csv:4:archived_on: is in the future: correct the record"
    ]


@pytest.mark.twins(1)
async def test_refund_is_taken_from_its_invoice(desk: ImportDesk) -> None:
    """The payment of 200.00 pays two invoices, and the refund names the second one."""
    folder = small_folder()
    folder["invoices"].append({**folder["invoices"][0], "id": "i5", "number": "A-18",
                               "issued_on": "2026-02-01", "due_on": ""})  # fmt: skip
    folder["invoice_lines"].append({"invoice_id": "i5", "session_id": "", "description": "Letter",
                                    "quantity": "", "unit_price": "80.00"})  # fmt: skip
    folder["allocations"] = [
        {"payment_id": "p1", "invoice_id": "i1", "amount": "100.00"},
        {"payment_id": "p1", "invoice_id": "i5", "amount": "80.00"},
    ]
    folder["refunds"][0]["invoice_id"] = "i1"
    del folder["totals"]
    report = await desk.load(folder)
    assert [str(one) for one in report.faults] == []
    put = await desk.rows(Allocation, payment_id=await desk.row_of("payment", "p1"))
    sums = dict.fromkeys(("i1", "i5"), 0)
    for name in sums:
        invoice = await desk.row_of("invoice", name)
        sums[name] = sum(one["amount_minor"] for one in put if one["invoice_id"] == invoice)
    assert sums == {"i1": 8_000, "i5": 8_000}
    assert await findings(desk.engine, desk.practice_id) == []
    folder["refunds"][0]["invoice_id"] = "i3"
    told = [str(one) for one in (await desk.load(folder)).faults]
    assert told == ["refunds.csv:2:invoice_id: names the invoice of another client: correct the id"]


async def test_issued_invoice_never_changes(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    folder = small_folder()
    folder["invoice_lines"][0]["unit_price"] = "140.00"
    folder["totals"][0]["balance"] = "90.00"
    before = await desk.counts()
    report = await desk.load(folder)
    assert [str(one) for one in report.faults] == [
        "invoices.csv:2: was entered before with other values: void it by voided_on, and send the"
        " new one with an id of its own"
    ]
    assert await desk.counts() == before


async def test_void_of_a_later_export_is_entered(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    folder = small_folder()
    folder["invoices"][0]["voided_on"] = "2026-03-05"
    folder["totals"][0] |= {"balance": "-185.00", "unallocated": "185.00"}
    report = await desk.load(folder)
    assert [str(one) for one in report.faults] == []
    assert report.counts["invoices"] == {"new": 0, "changed": 1, "same": 2}
    assert await desk.balances("c1") == (-18_500, 18_500)
    assert await findings(desk.engine, desk.practice_id) == []


async def test_allocations_file_says_what_pays_what(desk: ImportDesk) -> None:
    folder = small_folder()
    folder["invoices"].append({**folder["invoices"][0], "id": "i5", "number": "A-18",
                               "issued_on": "2026-03-01", "due_on": ""})  # fmt: skip
    folder["invoice_lines"].append({"invoice_id": "i5", "session_id": "", "description": "Letter",
                                    "quantity": "", "unit_price": "80.00"})  # fmt: skip
    folder["allocations"] = [
        {"payment_id": "p1", "invoice_id": "i5", "amount": "70.00"},
        {"payment_id": "p1", "invoice_id": "i1", "amount": "110.00"},
    ]
    folder["totals"] = [{"client_id": "c1", "balance": "180.00", "unallocated": "5.00"}]
    report = await desk.load(folder)
    assert [str(one) for one in report.faults] == []
    put = {
        (one["invoice_id"], one["amount_minor"], one["date"])
        for one in await desk.rows(Allocation, payment_id=await desk.row_of("payment", "p1"))
    }
    assert put == {
        (await desk.row_of("invoice", "i5"), 7_000, dt.date(2026, 3, 1)),
        (await desk.row_of("invoice", "i1"), 11_000, dt.date(2026, 2, 1)),
    }
    assert await findings(desk.engine, desk.practice_id) == []
    assert (await desk.load(folder)).counts["allocations"] == {"new": 0, "changed": 0, "same": 2}


async def test_statement_keeps_its_balance(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    client = await desk.row_of("client", "c1")
    february = StatementPeriod(dt.date(2026, 2, 1), dt.date(2026, 2, 28))
    context = EntryContext(desk.engine, lambda: desk.now)
    await enter_for_client(context, desk.practice_id, client, issue_statement, february)
    late: Folder = {"payments": [{"id": "p9", "client_id": "c1", "paid_on": "2026-02-20",
                                  "amount": "10.00", "method": "CASH"}]}  # fmt: skip
    report = await desk.load(late)
    assert [str(one) for one in report.faults] == []
    (entry,) = await desk.rows(LedgerEntry, payment_id=await desk.row_of("payment", "p9"))
    assert (entry["date"], entry["posted_on"]) == (dt.date(2026, 2, 20), dt.date(2026, 3, 1))
    assert await findings(desk.engine, desk.practice_id) == []


@pytest.mark.twins(1)
async def test_client_who_is_paying_is_put_off(desk: ImportDesk) -> None:
    await desk.load(small_folder())
    client = await desk.row_of("client", "c1")
    blank = dict.fromkeys(written(Payment))
    paying = {
        "practice_id": desk.practice_id, "id": new_id(), "client_id": client, "amount_minor": 100,
        "method": "CARD", "state": PaymentState.CREATED, "created_at": desk.now,
        "created_on": dt.date(2026, 3, 31),
    }  # fmt: skip
    async with desk.engine.begin() as conn:
        await conn.execute(insert(Payment).values(blank | paying))
    later: Folder = {
        "payments": [
            {"id": "p8", "client_id": "c1", "paid_on": "2026-03-20", "amount": "10.00",
             "method": "CASH"},
            {"id": "p9", "client_id": "c2", "paid_on": "2026-03-20", "amount": "10.00",
             "method": "CASH"},
        ],
        "totals": [{"client_id": "c1", "balance": "90.00"}, {"client_id": "c2",
                                                              "balance": "110.50"}],
    }  # fmt: skip
    report = await desk.load(later)
    assert (report.is_imported, report.put_off) == (True, ["c1"])
    assert (await desk.balances("c1"), await desk.balances("c2")) == ((10_000, 0), (11_050, 0))


async def test_zip_file_of_a_folder_is_imported(desk: ImportDesk, tmp_path: Path) -> None:
    path = write_folder(desk.path, small_folder())
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("__MACOSX/export/._clients.csv", b"\0\1")
        for file in path.iterdir():
            packed.write(file, f"export/{file.name}")
    assert (await desk.load(archive)).is_imported


async def test_semicolons_a_mark_and_line_breaks_are_read(desk: ImportDesk) -> None:
    path = write_folder(desk.path, {})
    text = '\ufeffid;name;phone\r\nc1;"Prieto; Ana";"1\n2"\r\n;;\r\n c2 ;Ben Osei;\r\n'
    (path / "clients.csv").write_text(text, newline="")
    report = await desk.load(path)
    assert [str(one) for one in report.faults] == [
        "clients.csv:2:phone: has control characters: write at most 200 characters in one line"
    ]
    (path / "clients.csv").write_text(text.replace("1\n2", "12"), newline="")
    report = await desk.load(path)
    assert report.counts["clients"]["new"] == 2
    names = {one["name"] for one in await desk.rows(Client)}
    assert names == {"Prieto; Ana", "Ben Osei"}
