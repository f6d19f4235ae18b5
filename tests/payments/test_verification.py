"""Verification of the books: rows changed past the portal are found, each at the right place."""

import asyncio
import datetime as dt
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection
from typer.testing import CliRunner

import demo
from billing.entry.commands import EntryContext, enter_for_client
from billing.entry.credits import Credit, give_credit
from billing.ledger import verification
from billing.ledger.verification import Finding, Verification, unprotected_tables
from billing.payments.refund import refund_payment
from identity.tokens import Subject
from models import (
    Allocation,
    ChainLink,
    EntryKind,
    LedgerEntry,
    Payment,
    PrintedDocument,
    Receipt,
    Row,
    Statement,
)
from models.append_only import is_append_only, unprotect
from models.database import open_engine
from models.ids import new_id
from server.cli import main as cli
from tests.conftest import SEED
from tests.payments.test_chain_roots import rewrite, roots_of_two_days
from tests.support import books as stored_books
from tests.support import postgres
from tests.support.document_links import BASE, get, link, made
from tests.support.empty_databases import prepare
from tests.support.payments import Paying, paying
from tests.support.portal import KEY
from tests.support.reversals import paid, refunded_there
from tests.support.tampering import Tamperer
from tests.support.unprotected import unprotected

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
CHAINED: Sequence[type[Row]] = (LedgerEntry, Allocation, Receipt, PrintedDocument)
SOME, ALL = 25, 100


@pytest.fixture(scope="module")
async def kept(new_database: NewDatabase) -> AsyncIterator[Paying]:
    """Yield a portal whose books every kind of writer has written."""
    async with new_database() as url, paying(url, public_url=BASE) as it:
        await keep_books(it)
        yield it


@pytest.fixture
async def books(kept: Paying) -> AsyncIterator[Paying]:
    """Yield the portal, whose chained rows are put back after the test."""
    rows = await chained_rows(kept)
    yield kept
    async with unprotected(kept.url, *(table.__tablename__ for table in rows)) as conn:
        await put_back(conn, rows)


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    """Yield a portal of its own, with one payment."""
    async with new_database() as url, paying(url) as it:
        await paid(it, 10_000)
        yield it


Rows = dict[type[Row], list[dict[str, Any]]]


async def chained_rows(portal: Paying) -> Rows:
    tables: Sequence[type[Row]] = (*CHAINED, ChainLink)
    return {table: [dict(row._mapping) for row in await portal.all(table)] for table in tables}


async def put_back(conn: AsyncConnection, rows: Rows) -> None:
    for table, values in rows.items():
        await conn.execute(delete(table))
        await conn.execute(insert(table), values)


async def keep_books(portal: Paying) -> None:
    """Have every kind of writer write rows of two clients."""
    payment_id, _ = await paid(portal, 10_000, 5_000)
    await refund_payment(portal.payment_context, payment_id, 7_000)
    await portal.credit(1_500)
    await portal.pay(5_500, portal.card())
    _, intent = await paid(portal, 3_000)
    refunded_there(portal, intent, 1_000)
    await portal.hears_all()
    entries = EntryContext(portal.engine, portal.clock)
    other = portal.practice_id, portal.other_id
    for minor in (500, 700):
        await enter_for_client(entries, *other, give_credit, Credit(minor, "Courtesy"))
    await portal.invoice(2_000, portal.other_id)
    for serial, client_id in enumerate((portal.client_id, portal.other_id), 1_000):
        id_ = await made(portal, "inv", client_id, serial=serial)
        token = await portal.token(Subject(portal.practice_id, client_id=client_id))
        await get(portal, (await link(portal, id_, token))["printUrl"])


async def findings(portal: Paying) -> list[Finding]:
    return await stored_books.findings(portal.engine, portal.practice_id)


async def subjects(portal: Paying) -> list[str]:
    return [one.difference.subject for one in await findings(portal)]


# -- the chain -------------------------------------------------------------------------------------


async def test_books_kept_by_the_portal_are_as_they_were_written(books: Paying) -> None:
    verified = Verification(books.engine, books.practice_id)
    assert [one async for one in verified.findings()] == []
    rows = sum([await books.count(table) for table in CHAINED])
    assert (verified.counts.clients, verified.counts.rows) == (2, rows)
    assert await books.count(ChainLink) == rows
    assert await unprotected_tables(books.engine) == []


async def test_books_are_verified_page_by_page(
    books: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "AT_ONCE", 1)
    monkeypatch.setattr(verification, "ROWS_HELD", 1)
    await test_books_kept_by_the_portal_are_as_they_were_written(books)
    async with unprotected(books.url, "ledger_entry") as conn:
        await conn.execute(update(LedgerEntry).values(description="Rewritten"))
    assert {one.client_id for one in await findings(books)} == {books.client_id, books.other_id}


@pytest.mark.twins(1)
async def test_books_of_the_demo_are_whole_and_keep_the_rules(new_database: NewDatabase) -> None:
    async with new_database() as url:
        await prepare(url)
        async with open_engine(postgres.as_owner(url)) as engine:
            people = await demo.load(engine, dt.date(2026, 3, 15))
            for practice_id in (people.practice_id, people.other_practice_id):
                verified = Verification(engine, practice_id)
                assert [one async for one in verified.findings()] == []
                assert verified.counts.rows > 500


async def test_hashes_are_those_of_the_documented_bytes(books: Paying) -> None:
    """Computed here by the description in docs/decisions alone, from rows as the drivers read."""
    stored = {table.__tablename__: await books.all(table) for table in CHAINED}
    links = sorted(await books.all(ChainLink), key=lambda row: (row.client_id, row.position))
    previous: dict[str, bytes] = {}
    for each in links:
        table = each.table_name.lower()
        key = {"printed_document": ("kind", "document_id", "is_void")}.get(table, ("id",))
        (row,) = (
            row
            for row in stored[table]
            if "/".join(plain(row._mapping[name]) for name in key) == each.row_key
        )
        before = previous.get(each.client_id, bytes(32)) + sha256(canonical(table, row))
        assert each.hash == sha256(before + canonical("chain_link", each, but="hash"))
        previous[each.client_id] = each.hash


def canonical(table: str, row: Any, but: str = "") -> bytes:
    """Return the canonical bytes of a row, as docs/decisions has them."""
    values = {
        name: value if isinstance(value, int | str) else plain(value)
        for name, value in sorted(row._mapping.items())
        if value is not None and name != but
    }
    if table == "ledger_entry":
        values["description"] = sha256(row.description.encode("utf-8")).hex()
    text = json.dumps([table, values], ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8")


def plain(value: Any) -> str:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    if isinstance(value, dt.date):
        return value.strftime("%Y-%m-%d")
    return {"True": "true", "False": "false"}.get(str(value), str(value))


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


# -- rows changed past the portal ------------------------------------------------------------------


async def tampered(books: Paying, count: int) -> None:
    """Make changes, each to the books as they were, and assert that each is found at its row."""
    rows = await chained_rows(books)
    async with open_engine(postgres.as_owner(books.url)) as owner:
        async with owner.begin() as conn:
            for table in rows:
                await conn.run_sync(unprotect, table.__tablename__)
        for number in range(count):
            async with owner.begin() as conn:
                done = await Tamperer(conn, f"{SEED} {number}", [*rows]).change()
            found = await subjects(books)
            assert found, done.words
            assert found[0] in done.subjects, (done.words, found)
            async with owner.begin() as conn:
                await put_back(conn, rows)
    assert await findings(books) == []


async def test_a_random_change_is_found_at_its_row(books: Paying) -> None:
    await tampered(books, SOME)


@pytest.mark.rest
@pytest.mark.twins(1)
@pytest.mark.campaign
async def test_each_of_a_hundred_random_changes_is_found_at_its_row(books: Paying) -> None:
    await tampered(books, ALL)


async def test_each_table_that_lost_its_triggers_is_named(books: Paying) -> None:
    tables = [table.name for table in Row.metadata.sorted_tables if is_append_only(table)]
    async with open_engine(postgres.as_owner(books.url)) as owner:
        for number, table in enumerate(tables, 1):
            async with owner.begin() as conn:
                if conn.dialect.name == "sqlite" or number % 2:
                    await conn.run_sync(unprotect, table)
                else:
                    # An ordinary trigger does not fire in every session.
                    name = f"{table}_append_only"
                    await conn.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER {name}")
            assert await unprotected_tables(books.engine) == tables[:number]


# -- the command -----------------------------------------------------------------------------------


async def command(portal: Paying, *arguments: str) -> tuple[int, list[str]]:
    """Run `portal verify` by the role that serves; return its status and its lines."""
    environment = {"DATABASE_URL": portal.url, "TOKEN_KEY": KEY, "SANDBOX": "true"}
    runner = CliRunner(env=environment)
    result = await asyncio.to_thread(runner.invoke, cli.app, ["verify", *arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.output.splitlines()


async def test_command_says_that_the_books_are_whole_or_what_differs(
    portal: Paying, tmp_path: Path
) -> None:
    await roots_of_two_days(portal)
    practice = f"pra_{portal.practice_id}"
    rows = sum([await portal.count(table) for table in CHAINED])
    whole = f"{practice}  {rows} rows of 2 clients and 2 daily roots are as they were written."
    assert await command(portal) == (0, [whole])
    status, lines = await command(portal, "--roots", "--practice", practice)
    roots = tmp_path / "roots.jsonl"
    roots.write_text("\n".join(lines))
    assert (status, len(lines)) == (0, 2)
    assert await command(portal, "--known-roots", str(roots)) == (0, [whole])
    await rewrite(portal, also_roots=True)
    # Nothing within the database shows this any more.
    assert await command(portal) == (0, [whole])
    assert await command(portal, "--known-roots", str(roots)) == (
        1,
        [
            f"{practice}  root of 2026-03-15  is not the one that was sent out",
            f"{practice}  root of 2026-03-16  is not the one that was sent out",
        ],
    )
    (first, *_) = await portal.all(Allocation)
    async with unprotected(portal.url, "allocation") as conn:
        await conn.execute(delete(Allocation).where(Allocation.id == first.id))
    status, lines = await command(portal)
    assert status == 1
    assert lines[0].startswith(f"{practice}  cli_{first.client_id}  allocation {first.id}  is miss")
    roots.write_text("{}")
    assert await command(portal, "--known-roots", str(roots)) == (
        1,
        [f"{roots} is no list of roots, as `portal verify --roots` prints."],
    )
    nobody = "There is no practice pra_1."
    assert await command(portal, "--practice", "pra_1") == (1, [nobody])


# -- the rules of the ledger -----------------------------------------------------------------------


# A row that is entered with a right link, and the first difference that it makes.
BROKEN_RULES: list[tuple[type[Row], dict[str, Any], str]] = [
    (LedgerEntry, {"kind": "CREDIT", "amount_minor": 9_999_00}, "unallocated funds"),
    (Allocation, {"amount_minor": 9_999_00, "is_credit": True}, "unallocated funds"),
    (Allocation, {"amount_minor": -9_999_00, "is_credit": True}, "invoice"),
    (LedgerEntry, {"kind": "WRITE_OFF", "amount_minor": -9_999_00}, "invoice"),
    (LedgerEntry, {"kind": "REFUND", "amount_minor": 1}, "payment"),
    (LedgerEntry, {"kind": "PAYMENT", "amount_minor": -1}, "payment"),
]


@pytest.mark.parametrize(("table", "values", "subject"), BROKEN_RULES)
async def test_a_rule_that_does_not_hold_is_named(
    books: Paying, table: type[Row], values: dict[str, Any], subject: str
) -> None:
    (payment, *_) = [one for one in await books.all(Payment) if one.stripe_id]
    of_client = [one for one in await books.all(LedgerEntry) if one.client_id == payment.client_id]
    (entry, *_) = [one for one in of_client if one.kind is EntryKind.CHARGE]
    on_invoice = table is Allocation or values["kind"] == "WRITE_OFF"
    row = {
        "practice_id": books.practice_id,
        "id": new_id(),
        "client_id": payment.client_id,
        "invoice_id": entry.invoice_id if on_invoice else None,
        "payment_id": payment.id if values.get("kind") in ("REFUND", "PAYMENT") else None,
        "date": books.clock().date(),
        "created_at": books.clock(),
    }
    if table is LedgerEntry:
        row |= {"posted_on": row["date"], "description": "Planted", "reference": new_id()}
    await books.insert(table, row | values)
    found = await subjects(books)
    assert found
    assert subject in {
        one.split(" ")[0] if subject != "unallocated funds" else one for one in found
    }


async def test_a_statement_ends_with_the_balance_of_its_last_day(books: Paying) -> None:
    day = books.clock().date()
    posted = [row for row in await books.all(LedgerEntry) if row.client_id == books.client_id]
    ending = sum(row.amount_minor for row in posted if row.posted_on <= day)
    try:
        for minor, expected in ((ending, []), (ending + 1, ["statement STM-2026-0002"])):
            facts = {"beginning_minor": 0, "invoiced_minor": minor, "paid_minor": 0}
            facts |= {"period_start": day, "period_end": day, "ending_minor": minor}
            number = f"STM-2026-000{1 + minor - ending}"
            await made(books, "stm", number=number, **facts)
            assert await subjects(books) == expected
    finally:
        async with books.engine.begin() as conn:
            await conn.execute(delete(Statement))
