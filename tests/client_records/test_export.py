"""The export of a client's whole record, by the command."""

import hashlib
import io
import json
import secrets
import stat
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sqlalchemy import insert

from billing.client_records.archive import RecordArchive
from billing.client_records.rows import ROWS_READ, RecordSubject
from billing.client_records.sheets import SHEETS
from billing.client_records.tables import LEFT_OUT, RECORD
from billing.documents.printer import Printer
from models import (
    AccessEntry,
    Client,
    ClientNamePart,
    Contact,
    ExternalReference,
    PrintedDocument,
    Row,
    SignInLink,
)
from models.database import open_snapshot
from models.ids import new_id
from server.clock import utc_now
from server.settings import from_environment
from tests.support.command_desk import CommandDesk, command_desk
from tests.support.factories import DEFAULTS, NOON, Books

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def desk(new_database: NewDatabase) -> AsyncIterator[CommandDesk]:
    async with new_database() as url, command_desk(url) as desk:
        yield desk


async def exported(desk: CommandDesk, client: str, out: Path) -> zipfile.ZipFile:
    sentence = await desk.done("client", "export", client, "--out", str(out))
    assert sentence == f"The record of {client} is written to {out}."
    return zipfile.ZipFile(out)


def record_of(archive: zipfile.ZipFile) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(archive.read("record.json"))
    return record


def test_every_table_is_exported_or_has_a_reason() -> None:
    tables = {mapper.class_ for mapper in Row.registry.mappers}
    exported = [table.model for table in RECORD]
    assert len(exported) == len({*exported})
    assert not LEFT_OUT.keys() & {*exported}
    assert {*exported} | LEFT_OUT.keys() == tables
    # A reason is no way round the rows that name a client.
    assert {model for model in LEFT_OUT if "client_id" in model.__table__.c} == {ClientNamePart}


async def test_all_rows_of_the_client_and_no_others(desk: CommandDesk, tmp_path: Path) -> None:
    async with desk.engine.begin() as conn:
        books = await Books.opened(conn)
        await books.fill()
        client = books.ids["client"]
        await books.change(Client, client, email="Ana@Example.com")
        await books.change_all(ExternalReference, row_id=books.ids["invoice"])
        other = books.beside()
        await other.fill()
        await other.change(SignInLink, other.ids["sign_in_link"], email="ben@example.com")
    archive = await exported(desk, f"cli_{client}", tmp_path / "record.zip")
    record, text = record_of(archive), archive.read("record.json").decode()
    jsonschema.validate(record, json.loads(archive.read("record.schema.json")))
    for table in RECORD:
        # In the audit log it is the entry of the export itself.
        assert len(record[table.name]) == 1, table.name
        if table.name in ("client", "invoice", "payment", "superbill", "ledger_entry"):
            assert other.ids[table.name] not in text
    hidden = ("hash", "secret_hash", "nonce_hash", "used_nonce_hash", "idempotency_key")
    assert not {*hidden} & {*record["token"][0], *record["sign_in_link"][0], *record["payment"][0]}


async def test_record_names_no_card_of_a_contact(desk: CommandDesk, tmp_path: Path) -> None:
    async with desk.engine.begin() as conn:
        books = await Books.opened(conn)
        client, contact = await books.client(), await books.add(Contact)
        held = await books.card(client, contact_id=contact, last4="7771", cardholder_name="Ada Ahn")
        own = await books.card(client, last4="7772")
        brand: dict[str, Any] = {"card_brand": "VISA", "method": "CARD"}
        await books.payment(client, contact_id=contact, card_last4="7771", **brand)
        await books.payment(client, card_last4="7772", **brand)
    archive = await exported(desk, f"cli_{client}", tmp_path / "record.zip")
    record, text = record_of(archive), archive.read("record.json").decode()
    jsonschema.validate(record, json.loads(archive.read("record.schema.json")))
    assert [row["id"] for row in record["payment_method"]] == [own]
    assert {row["card_last4"] for row in record["payment"]} == {None, "7772"}
    assert not [hidden for hidden in ("7771", "Ada Ahn", held) if hidden in text]


async def test_documents_are_the_files_that_were_given_out(
    desk: CommandDesk, tmp_path: Path
) -> None:
    practice = await desk.practice()
    client = await desk.done("client", "create", "--practice", practice, "--name", "Ana Prieto")
    line = ("--line", "Psychotherapy=140.00")
    invoice = await desk.done("invoice", "issue", client, *line)
    await desk.done("document", invoice, "--out", str(tmp_path / "before.pdf"))
    await desk.done("invoice", "void", invoice)
    archive = await exported(desk, client, tmp_path / "record.zip")
    kept = {row.is_void: row.content for row in await desk.rows(PrintedDocument, practice)}
    documents = record_of(archive)["documents"]
    assert [one["is_void"] for one in documents] == [False, True]
    for one in documents:
        content = archive.read(one["file"])
        assert content == kept[one["is_void"]]
        assert hashlib.sha256(content).hexdigest() == one["sha256"]
    assert archive.read(documents[0]["file"]) == (tmp_path / "before.pdf").read_bytes()
    again = await exported(desk, client, tmp_path / "again.zip")
    assert again.read(documents[1]["file"]) == archive.read(documents[1]["file"])


async def test_sheets_have_the_amounts_of_the_books(desk: CommandDesk, tmp_path: Path) -> None:
    practice = await desk.practice()
    client = await desk.done("client", "create", "--practice", practice, "--name", "Ana Prieto")
    await desk.done("invoice", "issue", client, "--line", "=2+3=140.00")
    await desk.done("payment", "record", client, "--amount", "100.00", "--method", "CASH")
    archive = await exported(desk, client, tmp_path / "record.zip")
    sheets = {
        name: archive.read(name).decode().splitlines()
        for name in archive.namelist()
        if name.endswith(".csv")
    }
    assert sheets.keys() == {f"{one.name}.csv" for one in SHEETS}
    assert sheets["invoices.csv"][1].endswith("140.00,140.00,100.00")
    assert "'=2+3" in sheets["invoice-lines.csv"][1]
    assert sheets["account-history.csv"][0].endswith("amount,balance_after")
    assert [line.rpartition(",")[2] for line in sheets["account-history.csv"][1:]] == [
        "140.00",
        "40.00",
    ]
    assert sheets["payments.csv"][1].split(",")[1:4] == ["CASH", "SUCCEEDED", "100.00"]


@pytest.mark.twins(1)
async def test_record_is_one_snapshot_in_small_pieces(desk: CommandDesk) -> None:
    async with desk.engine.begin() as conn:
        books = await Books.opened(conn)
        client = await books.client()
        entry = DEFAULTS[AccessEntry] | {"practice_id": books.practice, "client_id": client}
        rows = [
            entry | {"id": new_id(), "arguments": secrets.token_hex(500)}
            for _ in range(8 * ROWS_READ)
        ]
        await conn.execute(insert(AccessEntry), rows)
    settings = from_environment()
    largest, content = 0, b""
    printer = Printer(desk.engine, utc_now)
    async with open_snapshot(settings.database_url) as snapshot:
        subject = RecordSubject(snapshot, books.practice, client)
        async for chunk in RecordArchive(subject, printer, NOON).chunks():
            if not content:
                # SQLite's writer doesn't wait for the snapshot either.
                async with desk.engine.begin() as conn:
                    await conn.execute(insert(AccessEntry), [entry | {"id": new_id()}])
            largest = max(largest, len(chunk))
            content += chunk
    record = record_of(zipfile.ZipFile(io.BytesIO(content)))
    assert len(record["access_entry"]) == 8 * ROWS_READ
    assert largest < len(content) / 4


async def test_file_is_private_and_new_and_audited(
    desk: CommandDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = await desk.practice()
    client = await desk.done("client", "create", "--practice", practice, "--name", "Ana Prieto")
    out = tmp_path / "record.zip"
    await exported(desk, client, out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    read = [row for row in await desk.rows(AccessEntry, practice) if row.action == "READ"]
    assert [(row.operation, row.client_id, row.fields) for row in read] == [
        ("portal client export", client[4:], ["Client.record"])
    ]
    before = out.read_bytes()
    command = ("client", "export", client, "--out")
    assert await desk.refused(*command, str(out)) == f"{out} can't be created: File exists."
    assert out.read_bytes() == before
    monkeypatch.setattr("billing.client_records.archive.SHEETS", [None])
    failed = await desk.run(*command, str(tmp_path / "failed.zip"))
    assert failed.exit_code == 1
    assert not (tmp_path / "failed.zip").exists()
