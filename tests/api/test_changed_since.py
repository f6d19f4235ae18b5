"""Changes since a version: a reader misses none, despite concurrent writers."""

import asyncio
import datetime as dt
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import select

from billing.entry.documents import SharedDocument, share_document
from billing.entry.invoices import InvoiceVoid, NewInvoice, NewLine, issue_invoice, void_invoice
from billing.entry.outside_payments import OutsidePayment, record_payment
from billing.entry.statements import StatementPeriod, issue_statement
from billing.entry.superbills import SuperbillRequest, issue_superbill
from identity.tokens import Subject
from models import READ_SCOPES, DocumentKind, Payment, PaymentMethodKind, Receipt
from tests.support.demo_server import PROJECT
from tests.support.factories import Books
from tests.support.payments import Paying, paying
from tests.support.portal import Portal, served
from tests.support.programs import Program, key
from tests.support.reversals import refunded_there

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
CHANGED = """query Changed($since: String) { practice { version
    payments(changedSince: $since, first: 500) { nodes { id amount { minorUnits } } }
    invoices(changedSince: $since, first: 500) { nodes { id amountDue { minorUnits } } } } }"""
PAYMENTS, WRITERS, COMMITS = 12, 2, 500
# With the fault, this many tries have to be enough for a missed change.
TRIES = 5


async def dashboard(portal: Portal) -> str:
    return await portal.token(Subject(portal.practice_id), scopes=READ_SCOPES)


async def changed(portal: Portal, token: str, since: str | None) -> tuple[str, dict[str, int]]:
    """Return the current version, and the amounts of payments changed since the given one."""
    answer = (await portal.ask(CHANGED, token, since=since)).json()
    practice = answer["data"]["practice"]
    amounts = {node["id"]: node["amount"]["minorUnits"] for node in practice["payments"]["nodes"]}
    return practice["version"], amounts


# -- many writers ----------------------------------------------------------------------------------


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url) as it:
        async with it.engine.begin() as conn:
            books = Books(conn, it.practice_id)
            for _ in range(PAYMENTS):
                await books.payment(await books.client())
        yield it


async def followed(portal: Portal, commits: int, *faults: str) -> tuple[dict[str, int], int]:
    """Read changes while others write; return the amounts known at the end, and the number of
    reads.
    """
    token = await dashboard(portal)
    version, known = await changed(portal, token, None)
    asked = 0
    writers = [
        await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "tests.support.version_writers",
                portal.url,
                str(seed),
                str(commits),
            ),
            *faults,
            cwd=PROJECT,
        )
        for seed in range(1, WRITERS + 1)
    ]
    ended = asyncio.gather(*(writer.wait() for writer in writers))
    while not ended.done():
        version, more = await changed(portal, token, version)
        known |= more
        asked += 1
    assert await ended == [0] * WRITERS
    _, more = await changed(portal, token, version)
    return known | more, asked


async def amounts(portal: Portal) -> dict[str, int]:
    async with portal.engine.connect() as conn:
        result = await conn.execute(select(Payment.id, Payment.amount_minor))
        return {f"pmt_{id_}": minor for id_, minor in result}


@pytest.mark.campaign
@pytest.mark.slow
async def test_reader_of_changes_misses_none(portal: Portal) -> None:
    known, asked = await followed(portal, COMMITS)
    assert asked > 10
    assert known == await amounts(portal)


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True, scope="session")
async def test_versions_assigned_early_miss_changes(portal: Portal) -> None:
    """Shows that the test above can fail: a version counted before the commit, as a
    clock is read.
    """
    for _ in range(TRIES):
        known, _ = await followed(portal, COMMITS // 2, "early")
        if known != await amounts(portal):
            return
    raise AssertionError("nothing was missed")


# -- changed rows ----------------------------------------------------------------------------------


@pytest.fixture
async def shop(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def since(shop: Paying, version: str | None) -> tuple[str, set[str]]:
    answer = (await shop.ask(CHANGED, await dashboard(shop), since=version)).json()
    practice = answer["data"]["practice"]
    nodes = [*practice["payments"]["nodes"], *practice["invoices"]["nodes"]]
    return practice["version"], {node["id"] for node in nodes}


async def test_payment_changes_itself_and_its_invoice(shop: Paying) -> None:
    paid = f"inv_{await shop.invoice(5_000)}"
    other = f"inv_{await shop.invoice(700, shop.other_id)}"
    version, whole = await since(shop, None)
    assert (version, whole) == ("0", {paid, other})
    payment = (await shop.pay(5_000, shop.card()))["payment"]["id"]
    version, changes = await since(shop, version)
    assert changes == {payment, paid}
    assert await since(shop, version) == (version, set())


async def test_refund_changes_the_payment_and_its_invoice(shop: Paying) -> None:
    paid = f"inv_{await shop.invoice(5_000)}"
    payment = (await shop.pay(5_000, shop.card()))["payment"]["id"]
    version, _ = await since(shop, None)
    (intent,) = shop.store.all("payment_intent")
    refunded_there(shop, intent["id"], 1_000)
    await shop.hears_all()
    _, changes = await since(shop, version)
    assert changes == {payment, paid}


@pytest.mark.parametrize("wrong", ["", "x", "-1", "1.5", "9" * 30])
async def test_invalid_version_is_refused(portal: Portal, wrong: str) -> None:
    answer = (await portal.ask(CHANGED, await dashboard(portal), since=wrong)).json()
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_INPUT"}


async def test_versions_are_null_for_clients(portal: Portal) -> None:
    answer = (await portal.ask("{ practice { version } }", await portal.token())).json()
    assert answer["data"]["practice"]["version"] is None


# -- every list ------------------------------------------------------------------------------------

LISTS = ("invoices", "payments", "sessions", "statements", "superbills", "receipts")
LISTED = "(changedSince: $since, first: 500) { nodes { id } }"
EVERYTHING = f"""query Changed($since: String) {{
    clients(changedSince: $since, orderBy: {{field: CREATED}}) {{ nodes {{ id }} }}
    practice {{ version {" ".join(f"{name}{LISTED}" for name in LISTS)} }} }}"""


@pytest.fixture
async def program(portal: Portal) -> Program:
    return await Program.of_new_practice(portal, 1)


async def all_changes(program: Program, version: str | None) -> tuple[str, set[str]]:
    """Return the current version, and the ids of the rows of all lists that have changed."""
    answer = (await program.answer(EVERYTHING, since=version))["data"]
    lists = [answer["clients"], *(answer["practice"][name] for name in LISTS)]
    return answer["practice"]["version"], {node["id"] for one in lists for node in one["nodes"]}


async def test_each_entry_changes_its_rows_alone(program: Program) -> None:
    desk, client = program.desk, f"cli_{program.desk.client_id}"
    version, found = await all_changes(program, None)
    assert found == {client}

    async def changed() -> set[str]:
        nonlocal version
        version, found = await all_changes(program, version)
        return found

    session = await desk.session()
    assert await changed() == {f"ses_{session}"}
    line = NewLine(session_id=session)
    invoice = await desk.enter(issue_invoice, NewInvoice([line], is_shared=False))
    assert await changed() == {f"inv_{invoice}", f"ses_{session}"}
    await desk.enter(share_document, SharedDocument(DocumentKind.INVOICE, invoice))
    assert await changed() == {f"inv_{invoice}"}
    today = desk.clock.time.date()
    payment = await desk.enter(record_payment, OutsidePayment(PaymentMethodKind.CASH, 15_000))
    (receipt,) = await desk.rows(Receipt)
    paid = {f"pmt_{payment}", f"rct_{receipt['id']}"}
    assert await changed() == paid | {f"inv_{invoice}"}
    await desk.enter(void_invoice, InvoiceVoid(invoice))
    assert await changed() == paid | {f"inv_{invoice}", f"ses_{session}"}
    last_month = dt.date(2026, 2, 1), dt.date(2026, 2, 28)
    statement = await desk.enter(issue_statement, StatementPeriod(*last_month, is_shared=False))
    assert await changed() == {f"stm_{statement}"}
    await desk.enter(share_document, SharedDocument(DocumentKind.STATEMENT, statement))
    assert await changed() == {f"stm_{statement}"}
    request = SuperbillRequest(today, today, desk.clinician_id)
    superbill = await desk.enter(issue_superbill, request)
    assert await changed() == {f"sbl_{superbill}"}
    assert await changed() == set()


async def test_each_change_of_a_client_is_one(program: Program) -> None:
    client = f"cli_{program.desk.client_id}"
    contact = {"externalId": key("p-1"), "name": "Pat Prieto", "email": "pat@example.com"}
    rights = {"relation": "PARENT", "seesDocuments": True, "canPay": True}
    link = {"client": program.client} | contact | rights
    gone = {"client": program.client, "contact": key("p-1")}
    version, _ = await all_changes(program, None)
    for field, input in (
        ("linkContact", link),
        ("unlinkContact", gone),
        ("archiveClient", {"client": program.client}),
    ):
        entered = await program.enter(field, input)
        assert entered["change"] == "CHANGED" or field == "linkContact", entered
        version, found = await all_changes(program, version)
        assert found == {client}, field
    added = await program.enter(
        "upsertClient",
        {"externalId": key("c-1"), "name": "Zoë"},
        "... on ClientEntered { client { id } }",
    )
    _, found = await all_changes(program, version)
    assert found == {added["client"]["id"]}
