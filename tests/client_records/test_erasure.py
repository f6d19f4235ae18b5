"""The erasure of a client: no personal data is left anywhere, and the books still hold."""

import datetime as dt
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pypdf
import pytest
from sqlalchemy import (
    JSON,
    Date,
    Enum,
    LargeBinary,
    String,
    Text,
    delete,
    insert,
    make_url,
    select,
    update,
)

from billing.client_records.erasure_checks import Retention
from billing.client_records.personal_data import (
    CONTACT_NAME,
    DELETED,
    KEPT,
    OF_PRACTICE,
    PERSONAL,
)
from billing.documents.facts import read_document
from billing.documents.printer import Printer
from billing.ledger.erased_values import CLIENT_NAME, ERASED, NOTE
from models import (
    AccessEntry,
    Allocation,
    ChainLink,
    Client,
    Contact,
    ContactRight,
    Detachment,
    Dispute,
    DisputeState,
    DocumentKind,
    ErasedValue,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PaymentState,
    PrintedDocument,
    Row,
    StripeCustomer,
)
from models.ids import new_id
from models.row import ID
from server.clock import utc_now
from server.settings import from_environment
from tests.support import postgres
from tests.support.books import assert_verified, findings
from tests.support.command_desk import CommandDesk, command_desk
from tests.support.factories import DEFAULTS, Books
from tests.support.planted_client import MARKS, NAME, marked_columns, plant
from tests.support.unprotected import unprotected

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
WHY = ("--reason", "The client has asked for it")
NOW = ("--despite-retention",)


@contextmanager
def as_owner(url: str) -> Iterator[None]:
    """Name the owner of the tables in the environment."""
    with pytest.MonkeyPatch.context() as environment:
        if make_url(url).get_backend_name() == "postgresql":
            environment.setenv("DATABASE_OWNER_URL", postgres.as_owner(url))
        yield


@pytest.fixture(scope="module")
async def desk(new_database: NewDatabase) -> AsyncIterator[CommandDesk]:
    async with new_database() as url, command_desk(url) as desk:
        with as_owner(url):
            yield desk
        await assert_verified(desk.engine)


def is_text(column: Any) -> bool:
    """Return whether a column has text, lists or bytes, or a date of birth."""
    if isinstance(column.type, Date):
        return "birth" in column.name
    kinds = isinstance(column.type, Text | String | JSON | LargeBinary)
    return kinds and not isinstance(column.type, Enum) and column.type is not ID


def test_every_text_column_is_classified_once() -> None:
    kept = [name for names in KEPT.values() for name in names.split()]
    personal = [
        f"{model.__tablename__}.{name}" for model, values in PERSONAL.items() for name in values
    ]
    names = {
        f"{table.name}.{column.name}"
        for table in Row.metadata.sorted_tables
        for column in table.columns
        if is_text(column)
        and table.name not in {*OF_PRACTICE, *(model.__tablename__ for model in DELETED)}
    }
    assert sorted([*kept, *personal]) == sorted(names)


# -- what is left ----------------------------------------------------------------------------------


async def settled(desk: CommandDesk, *more: str) -> tuple[str, str, str]:
    """Return a practice, and a client with a paid invoice that was printed."""
    practice = await desk.practice()
    own = ("--practice", practice)
    client = await desk.done("client", "create", *own, "--name", NAME)
    line = ("--line", "Letter about Quagga=100.00")
    invoice = await desk.done("invoice", "issue", client, *line, *more)
    await desk.done("payment", "record", client, "--amount", "100", "--method", "CASH")
    return practice, client, invoice


async def test_cards_of_contacts_are_erased_for_the_client(desk: CommandDesk) -> None:
    """A contact of another client stays, with the cards for that client."""
    practice, client, _ = await settled(desk)
    other = await desk.done("client", "create", "--practice", practice, "--name", "Ben Osei")
    cards: dict[str, str] = {}
    async with desk.engine.begin() as conn:
        books = Books(conn, practice[4:])
        gone, stays = [await books.add(Contact) for _ in range(2)]
        links = {"gone": (gone, client), "stays": (stays, client), "kept": (stays, other)}
        for name, (contact, of) in links.items():
            own = {"client_id": of[4:], "contact_id": contact}
            await books.add(ContactRight, **own, can_pay=True)
            facts = {"cardholder_name": name, "stripe_id": f"pm_{name}_{new_id()}"}
            cards[name] = await books.card(of[4:], contact_id=contact, **facts)
        customer = await books.add(StripeCustomer, contact_id=gone)
    await desk.done("client", "erase", client, *WHY, *NOW)
    rows = {row.id: row for row in await desk.rows(PaymentMethod, practice)}
    found = {name: rows[id_] for name, id_ in cards.items()}
    assert [one.cardholder_name for one in found.values()] == [None, None, "kept"]
    assert [one.removed_at is None for one in found.values()] == [False, False, True]
    (gone_customer,) = [
        row.stripe_id for row in await desk.rows(StripeCustomer, practice) if row.id == customer
    ]
    detached = {row.stripe_id: row.contact_id for row in await desk.rows(Detachment, practice)}
    assert detached == {gone_customer: gone, found["stays"].stripe_id: stays}


async def test_no_personal_data_is_left_and_the_books_hold(
    desk: CommandDesk, tmp_path: Path
) -> None:
    practice, client, invoice = await settled(desk)
    await desk.done("document", invoice, "--out", str(tmp_path / "before.pdf"))
    other = await desk.done("client", "create", "--practice", practice, "--name", "Ben Osei")
    await desk.done("invoice", "issue", other, "--line", "Letter=70.00")
    url = from_environment().database_url
    shared = await plant(desk.engine, url, practice[4:], client[4:], other[4:])
    planted = {f"{model.__tablename__}.{name}" for model in PERSONAL for name in PERSONAL[model]}
    # Of these four digits and the compressed content are looked at below.
    planted -= {"payment.card_last4", "payment_method.last4", "printed_document.content"}
    assert await marked_columns(desk.engine) >= planted
    before = await books_of(desk, practice)
    rows = {row.id: row for row in await desk.rows(LedgerEntry, practice)}

    sentence = await desk.done("client", "erase", client, *WHY, *NOW)
    assert sentence.startswith(f"{client}: the personal data is erased.")
    assert await marked_columns(desk.engine) == set()
    assert await books_of(desk, practice) == before
    await assert_verified(desk.engine)
    assert (await desk.done("verify", "--practice", practice)).endswith("as they were written.")
    for row in await desk.rows(LedgerEntry, practice):
        is_erased = row.client_id == client[4:]
        assert row.description == (ERASED if is_erased else rows[row.id].description)
    assert {row.content for row in await desk.rows(PrintedDocument, practice)} == {NOTE}
    (card,) = await desk.rows(PaymentMethod, practice)
    assert (card.last4, card.removed_at is None, card.is_default) == ("0000", False, False)
    assert {row.card_last4 for row in await desk.rows(Payment, practice)} == {None}
    assert {row.id: row.erased_at is None for row in await desk.rows(Client, practice)} == {
        client[4:]: False,
        other[4:]: True,
    }
    contacts = {row.id: row.name for row in await desk.rows(Contact, practice)}
    assert sorted(contacts.values()) == [CONTACT_NAME, contacts[shared]]
    rights = await desk.rows(ContactRight, practice)
    assert [(row.client_id, row.contact_id) for row in rights] == [(other[4:], shared)]
    # The audit log has all entries, the reason, and the search for somebody else.
    entries = await desk.rows(AccessEntry, practice)
    told = [row.arguments for row in entries if row.arguments not in (None, ERASED)]
    assert sorted(told) == [WHY[1], '{"search": "osei"}']
    path = desk.engine.url.database
    if desk.engine.dialect.name == "sqlite" and path is not None:
        content = b"".join(file.read_bytes() for file in Path(path).parent.glob("*.db*"))
        assert not [mark for mark in MARKS if mark.encode() in content.lower()]
    # The record can still be exported, and the note is a document that opens.
    out = tmp_path / "record.zip"
    await desk.done("client", "export", client, "--out", str(out))
    assert "quagg" not in out.read_bytes().decode("latin-1").lower()
    assert pypdf.PdfReader(io.BytesIO(NOTE), strict=True).pages[0].extract_text()


async def books_of(desk: CommandDesk, practice: str) -> list[Any]:
    """Return the amounts, days and hashes of the practice's books."""
    return [
        sorted(
            (str(row.id), row.amount_minor, row.date) for row in await desk.rows(table, practice)
        )
        for table in (LedgerEntry, Allocation)
    ] + [[row.hash for row in await desk.rows(ChainLink, practice)]]


async def test_erasure_is_refused(desk: CommandDesk) -> None:
    practice, client, _ = await settled(desk)
    command = ("client", "erase", client, *WHY)
    before = await all_rows(desk, practice)

    async def refused(*more: str) -> str:
        sentence = await desk.refused(*command, *more)
        assert await all_rows(desk, practice) == before
        return sentence

    assert "records are kept for 7 years" in await refused()
    await desk.done("credit", "give", client, "--amount", "5", "--description", "Courtesy")
    before = await all_rows(desk, practice)
    assert "open balance" in await refused(*NOW)
    own = {"practice_id": practice[4:], "client_id": client[4:], "id": new_id()}
    active = {"method": "CARD", "state": PaymentState.CREATED, "paid_at": None}
    payment = DEFAULTS[Payment] | own | active
    async with desk.engine.begin() as conn:
        await conn.execute(insert(Payment).values(payment))
        paid = select(Payment.id).where(
            Payment.practice_id == practice[4:], Payment.state == PaymentState.SUCCEEDED
        )
        dispute = DEFAULTS[Dispute] | own | {"payment_id": await conn.scalar(paid)}
        await conn.execute(insert(Dispute).values(dispute | {"stripe_id": f"dp_{own['id']}"}))
    before = await all_rows(desk, practice)
    despite = ("--despite-balance", "--despite-dispute", *NOW)
    assert "is paying now" in await refused(*despite)
    async with desk.engine.begin() as conn:
        ended = update(Payment).where(Payment.id == own["id"])
        await conn.execute(ended.values(state=PaymentState.CANCELED))
    before = await all_rows(desk, practice)
    assert "disputed" in await refused("--despite-balance", *NOW)
    async with desk.engine.begin() as conn:
        await conn.execute(
            update(Dispute).where(Dispute.id == own["id"]).values(state=DisputeState.WON)
        )
    await desk.done(*command, "--despite-balance", *NOW)
    before = await all_rows(desk, practice)
    assert await refused(*despite) == f"{client} is erased already."


async def all_rows(desk: CommandDesk, practice: str) -> list[Any]:
    return [await desk.rows(model, practice) for model in (Client, LedgerEntry, AccessEntry)]


async def test_merged_records_are_erased_together(desk: CommandDesk) -> None:
    practice, merged, _ = await settled(desk)
    client = await desk.done("client", "create", "--practice", practice, "--name", NAME)
    await desk.done("client", "merge", merged, "--into", client)
    sentence = await desk.refused("client", "erase", merged, *WHY, *NOW)
    assert sentence == f"{merged} is merged into {client}: erase that client."
    await desk.done("client", "erase", client, *WHY, *NOW)
    assert {row.name for row in await desk.rows(Client, practice)} == {CLIENT_NAME}
    await assert_verified(desk.engine)


def test_records_are_kept_for_whole_years() -> None:
    term = Retention(7, dt.date(2030, 3, 1))
    assert term.end(dt.date(2023, 3, 1)) == dt.date(2030, 3, 1)
    assert term.end(dt.date(2024, 2, 29)) == dt.date(2031, 3, 1)


async def test_print_that_began_before_the_erasure_is_not_kept(desk: CommandDesk) -> None:
    practice, client, invoice = await settled(desk)
    printer = Printer(desk.engine, utc_now)
    named = DocumentKind.INVOICE, practice[4:], invoice[4:]
    async with desk.engine.connect() as conn:
        document = await read_document(conn, *named, printer.keys)
    assert document is not None
    await desk.done("client", "erase", client, *WHY, *NOW)
    assert (await printer.print_facts(document)).content
    assert await desk.rows(PrintedDocument, practice) == []
    assert await printer.print(*named)
    assert len(await desk.rows(PrintedDocument, practice)) == 1


@pytest.mark.rest
async def test_changes_of_erased_rows_are_found(new_database: NewDatabase, tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "is not as it was written": update(LedgerEntry).values(
            amount_minor=2 * LedgerEntry.amount_minor
        ),
        "ledger_entry": update(LedgerEntry).values(description="Another text"),
        "printed_document": update(PrintedDocument).values(content=b"%PDF another"),
        "was not erased": update(Client).values(erased_at=None),
        "not as it was": delete(ErasedValue),
    }
    async with new_database() as url, command_desk(url) as desk:
        with as_owner(url):
            for expected, change in changes.items():
                practice, client, invoice = await settled(desk)
                await desk.done("document", invoice, "--out", str(tmp_path / f"{expected}.pdf"))
                await desk.done("client", "erase", client, *WHY, *NOW)
                tables = ("ledger_entry", "printed_document", "erased_value")
                async with unprotected(url, *tables) as conn:
                    of_practice = change.table.c.practice_id == practice[4:]
                    await conn.execute(change.where(of_practice))
                differing = await findings(desk.engine, practice[4:])
                assert expected in f"{differing}", expected
