"""The faults of files: all at once, each with its place and its remedy, and nothing is imported."""

import zipfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from billing.imports.folders import NotAFolder
from tests.support.import_folders import (
    Folder,
    ImportDesk,
    import_database,
    small_folder,
    write_folder,
)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# What health information would be in a text about the small folder.
PERSONAL = ("Ana", "Prieto", "Osei", "Psychotherapy", "ana@")


@pytest.fixture(scope="module")
async def practice(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ImportDesk]:
    """Yield a practice that nothing is ever imported into."""
    path = tmp_path_factory.mktemp("import") / "export"
    async with new_database() as url, import_database(url) as engine:
        yield await ImportDesk(engine, path).open()


async def refused(practice: ImportDesk, folder: Folder | Path) -> list[str]:
    """Import a folder, assert that nothing is written, and return the faults."""
    before = await practice.counts()
    report = await practice.load(folder)
    assert not report.is_imported
    assert await practice.counts() == before
    told = [str(fault) for fault in report.faults]
    assert not any(word in line for line in told for word in PERSONAL)
    return told


def changed(file: str, line: int, **values: str) -> Folder:
    """Return the small folder with other values in a line of a file."""
    folder = small_folder()
    row = folder[file][line - 2]
    for one in folder[file]:
        for name in values:
            one.setdefault(name, "")
    row |= values
    return folder


WRONG: Iterable[tuple[str, int, dict[str, str], str]] = (
    ("clients", 2, {"id": ""}, "clients.csv:2:id: is empty: give a value"),
    ("clients", 3, {"last_name": ""},
     "clients.csv:3:name: is empty: give a name, or first_name and last_name"),
    ("clients", 2, {"email": "ana"},
     "clients.csv:2:email: is not one e-mail address: write one address, as name@example.com"),
    ("clients", 2, {"date_of_birth": "31/12/1980"},
     "clients.csv:2:date_of_birth: is no day of this form: write a day as 2026-11-30"),
    ("clients", 2, {"name": "=HYPERLINK(1)"},
     "clients.csv:2:name: begins as a formula: remove the = at its beginning"),
    ("clients", 2, {"name": "A\0na"},
     "clients.csv:2:name: has control characters: write at most 200 characters in one line"),
    ("clients", 2, {"city": "Portland"},
     "clients.csv:2:address_line1: is empty: complete the address, or leave all of it out"),
    ("clients", 3, {"first_name": "B" * 150, "last_name": "O" * 150},
     "clients.csv:3:name: has more than 200 characters: correct the record"),
    ("invoice_lines", 3, {"invoice_id": "i2", "session_id": "s3"},
     "invoices.csv:3:id: names a row twice: correct the record"),
    ("clients", 2, {"clinician_id": "t9"},
     "clients.csv:2:clinician_id: names no clinician of clinicians.csv or of an earlier import:"
     " correct it, or add the clinician"),
    ("clinicians", 2, {"taxonomy_code": "103T00000X"},
     "clinicians.csv:2:taxonomy_code: is not imported: no document has it: leave the column out"),
    ("clients", 3, {"id": "c1"},
     "clients.csv:3:id: is the same record as line 2: leave one of the two out"),
    ("contacts", 2, {"sees_documents": "no", "can_pay": ""},
     "contacts.csv:2:can_pay: is no beside no: give one of the two rights, or both"),
    ("sessions", 2, {"fee": "150.005"},
     "sessions.csv:2:fee: has more than 2 decimals: write an amount as 140.50, of at least 0"),
    ("sessions", 2, {"fee": "$150"},
     "sessions.csv:2:fee: is no amount: write an amount as 140.50, of at least 0"),
    ("sessions", 2, {"date": "2026-04-02"},
     "sessions.csv:2:date: is in the future: correct the record"),
    ("sessions", 2, {"starts_at": "9 am"},
     "sessions.csv:2:starts_at: is no time: write a time as 09:30, 2026-11-30T09:30 or"
     " 2026-11-30T09:30:00Z"),
    ("invoices", 2, {"due_on": "2026-01-30"},
     "invoices.csv:2:due_on: is before issued_on: correct one of the two days"),
    ("invoices", 2, {"number": "INV-2026-0040"},
     "invoices.csv:4:number: is the number of line 2 too: give each invoice a number of its own"),
    ("invoice_lines", 2, {"session_id": "s3"},
     "invoice_lines.csv:2:session_id: names the session of another client: correct the id"),
    ("invoice_lines", 4, {"quantity": "0"},
     "invoice_lines.csv:4:quantity: is not an integer between 1 and 100000: write a quantity as 1"
     " or 1.5"),
    ("payments", 2, {"method": "BARTER"},
     "payments.csv:2:method: is none of the known words: write one of CARD, CASH, CHECK,"
     " BANK_TRANSFER, INSURANCE, OTHER"),
    ("payments", 2, {"amount": "0.00"},
     "payments.csv:2:amount: is not between 1 and 9007199254: write an amount as 140.50, above 0;"
     " leave out rows without an amount"),
    ("payments", 2, {"invoice_id": "i3"},
     "payments.csv:2:invoice_id: names the invoice of another client: correct the id"),
    ("payments", 2, {"portal_payment": "RCP-2020-0001"},
     "payments.csv:2:portal_payment: names no payment of this portal: give its id pmt_… or its"
     " receipt's number"),
    ("refunds", 2, {"amount": "200.01"}, "refunds.csv:2:amount: less is left of the payment: lower"
     " the amount"),
    ("refunds", 2, {"refunded_on": "2026-01-31"},
     "refunds.csv:2:refunded_on: is before paid_on of the payment: correct one of the two days"),
    ("adjustments", 2, {"date": "2026-01-01"},
     "adjustments.csv:2:date: is before issued_on of the invoice: correct one of the two days"),
    ("refunds", 2, {"payment_id": "p9"}, "refunds.csv:2:payment_id: names no payment of"
     " payments.csv or of an earlier import: correct it, or add the payment"),
    ("credits", 2, {"amount": "0"}, "credits.csv:2:amount: is zero: leave the row out"),
    ("adjustments", 2, {"kind": "DISCOUNT"}, "adjustments.csv:2:kind: is none of the known words:"
     " write one of WRITE_OFF, ADJUSTMENT"),
    ("adjustments", 2, {"amount": "-10.00"},
     "adjustments.csv:2:amount: is below zero: write the amount that is given up, above 0"),
    ("adjustments", 2, {"amount": "300.01"},
     "adjustments.csv:2:amount: that much is not due of the invoice: lower the amount"),
    ("totals", 2, {"balance": "100.01"},
     "totals.csv:2:balance: says 100.01, and the ledger comes to 100.00 (-0.01 more): correct the"
     " records, or the balance in the other system; the rows are listed below"),
)  # fmt: skip


@pytest.mark.parametrize(("file", "line", "values", "told"), WRONG)
async def test_wrong_value_is_told_with_its_place_and_its_remedy(
    practice: ImportDesk, file: str, line: int, values: dict[str, str], told: str
) -> None:
    assert told in await refused(practice, changed(file, line, **values))


async def test_every_fault_is_told_at_once(practice: ImportDesk) -> None:
    folder = changed("clients", 2, email="ana", clinician_id="t9")
    folder["sessions"][0]["fee"] = "much"
    folder["payments"][1]["id"] = "p1"
    told = await refused(practice, folder)
    places = ["clients.csv:2:email", "clients.csv:2:clinician_id", "sessions.csv:2:fee",
              "payments.csv:3:id"]  # fmt: skip
    assert [line.partition(": ")[0] for line in told] == places


async def test_faults_beyond_a_thousand_are_counted(practice: ImportDesk) -> None:
    clients = [{"id": str(one), "name": "=1"} for one in range(1_500)]
    report = await practice.load({"clients": clients})
    assert (len(report.faults), report.fault_count) == (1_000, 1_500)


async def test_unknown_files_and_columns_are_told_with_the_nearest_name(
    practice: ImportDesk,
) -> None:
    folder = small_folder()
    folder["cleints"] = folder.pop("clients")
    folder["invoices"] = [{**row, "isued_on": ""} for row in folder["invoices"]]
    told = await refused(practice, folder)
    assert "cleints.csv: is no file of an import: did you mean clients.csv?" in told
    assert "invoices.csv:1:isued_on: is no column of this file: did you mean issued_on?" in told


async def test_record_of_an_unknown_client_and_a_missing_line(practice: ImportDesk) -> None:
    folder = small_folder()
    folder["clients"].pop()
    folder["invoice_lines"] = folder["invoice_lines"][:2]
    told = await refused(practice, folder)
    assert "invoices.csv:3:id: has no line in invoice_lines.csv: add its lines" in told
    assert any(
        line.startswith("opening_balances.csv:2:client_id: names no client") for line in told
    )


async def test_two_contacts_of_a_client_with_one_address(practice: ImportDesk) -> None:
    folder = small_folder()
    folder["contacts"].append({**folder["contacts"][0], "id": "k2", "email": "Gail@example.com"})
    assert await refused(practice, folder) == [
        "contacts.csv:3:email: is the address of line 2, a contact of the same client: leave one of"
        " the two out"
    ]


FORMS: Iterable[tuple[str, bytes, str]] = (
    ("Latin-1", "id,name\n1,Zoë\n".encode("latin-1"),
     "clients.csv:2: is not UTF-8: save the file as CSV in UTF-8"),
    ("UTF-16", "id,name\n1,Zoë\n".encode("utf-16"),
     "clients.csv:1: is UTF-16: save the file as CSV in UTF-8"),
    ("empty", b"", "clients.csv:1: has no heading: name the columns in the first line"),
    ("too few values", b"id,name\n1\n", "clients.csv:2: has 1 values, and the heading 2: put values"
     " with separators, quotes or line breaks into quotes, and double quotes in them"),
    ("open quote", b'id,name\n1,"Zo', "clients.csv:2: is no CSV (unexpected end of data): put"
     " values with separators, quotes or line breaks into quotes, and double quotes in them"),
    ("huge field", b"id,name\n1," + b"x" * 200_000 + b"\n", "clients.csv:2: is no CSV (field larger"
     " than field limit (131072)): put values with separators, quotes or line breaks into quotes,"
     " and double quotes in them"),
    ("huge line", b"id,name\n1," + b"x," * 600_000 + b"\n",
     "clients.csv:2: is longer than 1 MiB: check how the file ends its lines"),
    ("many columns", b"id," * 100_000 + b"name\n",
     "clients.csv:1: has 100,001 columns: a file has at most 200"),
    ("two columns of a name", b"id,name,name\n1,A,B\n",
     "clients.csv:1:name: is there twice: leave one of them out"),
)  # fmt: skip


@pytest.mark.parametrize(("content", "told"), [one[1:] for one in FORMS], ids=[f[0] for f in FORMS])
async def test_file_of_a_wrong_form(practice: ImportDesk, content: bytes, told: str) -> None:
    path = write_folder(practice.path, {})
    (path / "clients.csv").write_bytes(content)
    assert told in await refused(practice, path)


async def test_zip_bomb_is_refused_before_it_is_read(practice: ImportDesk, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clients.csv", "id,name\n" + "a,b\n" * 10_000_000)
    with pytest.raises(NotAFolder, match="200 times larger"):
        await practice.load(bomb)


async def test_pdf_that_is_a_bomb(practice: ImportDesk, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("documents.csv", "id,client_id,kind,file\n")
        archive.writestr("old/1.pdf", b"%PDF-" + b"\0" * 30_000_000)
    with pytest.raises(NotAFolder, match="200 times larger"):
        await practice.load(bomb)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\0" * 1000])
async def test_file_that_is_no_zip(practice: ImportDesk, tmp_path: Path, content: Any) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(content)
    with pytest.raises(NotAFolder, match="no ZIP file"):
        await practice.load(path)
