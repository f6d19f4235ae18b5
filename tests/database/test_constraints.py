"""Constraints of the tables, on both databases, after the migrations."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Enum,
    ForeignKeyConstraint,
    delete,
    literal_column,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from models import (
    ACTIVE_STATES,
    AccessEntry,
    Allocation,
    CardSetup,
    Claim,
    Client,
    Clinician,
    Contact,
    ContactRight,
    Dispute,
    DocumentCounter,
    DocumentKind,
    DocumentSchedule,
    EntryKind,
    EventEndpoint,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    OutboxEvent,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    PrintedDocument,
    Receipt,
    Refund,
    RefundState,
    Row,
    Session,
    SignInLink,
    Statement,
    Superbill,
    SuperbillLine,
    Token,
    ViewerKind,
    database,
    migrations,
)
from models.append_only import is_append_only, unprotect
from tests.support.factories import (
    DAY,
    DEFAULTS,
    LIMIT,
    NOON,
    Books,
    all_links,
    link_column,
    referred,
    table,
)
from tests.support.triggers import STATEFUL, drop_triggers

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    """Yield the engine of a database in which rows of every table can be changed."""
    async with new_database() as url:
        engine = database.engine(url)
        await migrations.upgrade(engine)
        async with engine.begin() as conn:
            for table in filter(is_append_only, Row.metadata.sorted_tables):
                await conn.run_sync(unprotect, table.name)
            await drop_triggers(conn, *STATEFUL)
        yield engine
        await engine.dispose()


@pytest.fixture
async def books(engine: AsyncEngine) -> AsyncIterator[Books]:
    """Yield the books of a practice, which are rolled back after the test."""
    async with engine.connect() as conn, conn.begin() as transaction:
        yield await Books.opened(conn)
        await transaction.rollback()


@pytest.fixture
async def every_row(books: Books) -> Books:
    """Return books with a row in each table."""
    await books.fill()
    return books


@asynccontextmanager
async def refused(books: Books, kind: str, name: str) -> AsyncIterator[None]:
    """Assert that the database refuses a write, and by which constraint.

    SQLite does not name foreign keys; for uniqueness it names the columns.
    """
    savepoint = await books.connection.begin_nested()
    with pytest.raises(IntegrityError) as caught:
        yield
    await savepoint.rollback()
    said = str(caught.value.orig)
    if books.connection.dialect.name == "sqlite":
        assert f"{kind} constraint failed" in said
        assert kind != "CHECK" or name in said
    else:
        assert f"{kind.lower()} constraint" in said
        assert name in said


# -- one at a time ---------------------------------------------------------------------------------


async def test_client_has_at_most_one_default_card(books: Books) -> None:
    client = await books.client()
    await books.card(client, is_default=True)
    await books.card(client)
    await books.card(await books.client(), is_default=True)
    async with refused(books, "UNIQUE", "uq_payment_method_default"):
        await books.card(client, is_default=True)


async def test_removed_card_can_not_be_the_default(books: Books) -> None:
    client = await books.client()
    await books.card(client, removed_at=NOON)
    async with refused(books, "CHECK", "ck_payment_method_default_is_kept"):
        await books.card(client, is_default=True, removed_at=NOON)


async def test_same_card_is_kept_once_and_may_be_added_again_after_removal(
    books: Books,
) -> None:
    client = await books.client()
    first = await books.card(client, fingerprint="same")
    async with refused(books, "UNIQUE", "uq_payment_method_fingerprint"):
        await books.card(client, fingerprint="same")
    await books.change(PaymentMethod, first, removed_at=NOON)
    await books.card(client, fingerprint="same")


async def test_sign_in_request_has_one_link_per_practice(books: Books) -> None:
    await books.add(SignInLink, nonce_hash="same")
    async with refused(books, "UNIQUE", "uq_sign_in_link_practice_id"):
        await books.add(SignInLink, nonce_hash="same")


@pytest.mark.parametrize("second", ACTIVE_STATES)
@pytest.mark.parametrize("first", ACTIVE_STATES)
async def test_client_has_at_most_one_active_payment(
    books: Books, first: PaymentState, second: PaymentState
) -> None:
    client = await books.client()
    await books.payment(client, first)
    await books.payment(await books.client(), second)
    async with refused(books, "UNIQUE", "uq_payment_active"):
        await books.payment(client, second)


async def test_client_may_have_many_finished_payments(books: Books) -> None:
    client = await books.client()
    at_rest = set(PaymentState) - set(ACTIVE_STATES)
    for state in [*at_rest, *at_rest, PaymentState.CREATED]:
        await books.payment(client, state)


async def test_session_is_on_one_valid_invoice(books: Books) -> None:
    client = await books.client()
    session = await books.add(Session, client_id=client)
    await books.invoice(client, session)
    async with refused(books, "UNIQUE", "uq_invoice_line_session"):
        await books.invoice(client, session)


async def test_voided_invoice_releases_its_sessions(books: Books) -> None:
    client = await books.client()
    session = await books.add(Session, client_id=client)
    first = await books.invoice(client, session)
    await books.change(Invoice, first, is_void=True, voided_on=DAY)
    assert await books.connection.scalar(select(InvoiceLine.is_void)) is True
    await books.invoice(client, session)
    async with refused(books, "UNIQUE", "uq_invoice_line_session"):
        await books.change(Invoice, first, is_void=False, voided_on=None)


async def test_lines_without_a_session_are_not_unique(books: Books) -> None:
    invoice = await books.invoice(await books.client())
    await books.line(invoice, None, position=1)
    await books.line(invoice, None, position=2)


async def test_line_is_as_void_as_its_invoice(books: Books) -> None:
    invoice = await books.invoice(await books.client())
    async with refused(books, "FOREIGN KEY", "fk_invoice_line_practice_id_invoice_id_is_void"):
        await books.line(invoice, None, is_void=True)


async def test_invoice_is_claimed_by_one_payment(books: Books) -> None:
    client = await books.client()
    invoice = await books.invoice(client)
    payment = await books.payment(client)
    claim = {"client_id": client, "payment_id": payment}
    await books.add(Claim, **claim, invoice_id=invoice)
    await books.add(Claim, **claim)
    async with refused(books, "UNIQUE", "uq_claim_practice_id_invoice_id"):
        await books.add(Claim, **claim, invoice_id=invoice)


async def test_payment_has_at_most_one_unfinished_refund(books: Books) -> None:
    client = await books.client()
    refund = {"client_id": client, "payment_id": await books.payment(client)}
    requested = {"state": RefundState.REQUESTED, "stripe_id": None}
    await books.add(Refund, **refund)
    await books.add(Refund, **refund, **requested)
    async with refused(books, "UNIQUE", "uq_refund_requested"):
        await books.add(Refund, **refund, **requested)


async def test_payment_has_one_receipt(books: Books) -> None:
    client = await books.client()
    payment = await books.payment(client)
    await books.add(Receipt, client_id=client, payment_id=payment)
    async with refused(books, "UNIQUE", "uq_receipt_practice_id_payment_id"):
        await books.add(Receipt, client_id=client, payment_id=payment)


@pytest.mark.parametrize("document", [Invoice, Statement, Superbill, Receipt])
async def test_document_number_is_unique_in_a_practice(books: Books, document: type[Row]) -> None:
    elsewhere = await Books.opened(books.connection)
    for practice in (books, elsewhere):
        await practice.document(document, serial=1)
    async with refused(books, "UNIQUE", f"uq_{document.__tablename__}_practice_id_serial"):
        await books.document(document, serial=1)


async def test_idempotency_key_is_unique_per_client(books: Books) -> None:
    client = await books.client()
    await books.payment(client, idempotency_key="k1")
    await books.payment(client, idempotency_key="k2")
    await books.payment(await books.client(), idempotency_key="k1")
    async with refused(books, "UNIQUE", "uq_payment_practice_id_client_id_idempotency_key"):
        await books.payment(client, idempotency_key="k1")


async def test_stripe_ids_are_unique_per_account(books: Books) -> None:
    client, elsewhere = await books.client(), await Books.opened(books.connection)
    for practice, owner in ((books, client), (elsewhere, await elsewhere.client())):
        await practice.card(owner, stripe_id="pm_1")
        await practice.payment(owner, stripe_id="pi_1")
    async with refused(books, "UNIQUE", "uq_payment_method_practice_id_stripe_account_stripe_id"):
        await books.card(client, stripe_id="pm_1")
    async with refused(books, "UNIQUE", "uq_payment_practice_id_stripe_account_stripe_id"):
        await books.payment(client, stripe_id="pi_1")
    await books.change_all(Practice, stripe_account="acct_1")
    async with refused(books, "UNIQUE", "uq_practice_stripe_account"):
        await elsewhere.change_all(Practice, stripe_account="acct_1")


async def test_ledger_entry_is_made_once(books: Books) -> None:
    client = await books.client()
    invoice = await books.invoice(client)
    of_client = {"client_id": client, "kind": EntryKind.CREDIT, "reference": "line 1"}
    of_invoice = of_client | {"kind": EntryKind.ADJUSTMENT, "invoice_id": invoice}
    await books.add(LedgerEntry, **of_client)
    await books.add(LedgerEntry, **of_invoice)
    async with refused(books, "UNIQUE", "uq_ledger_entry_of_client"):
        await books.add(LedgerEntry, **of_client)
    async with refused(books, "UNIQUE", "uq_ledger_entry_of_invoice"):
        await books.add(LedgerEntry, **of_invoice)


async def test_token_hash_is_unique_over_all_practices(books: Books) -> None:
    await books.add(Token, hash="same")
    elsewhere = await Books.opened(books.connection)
    async with refused(books, "UNIQUE", "uq_token_hash"):
        await elsewhere.add(Token, hash="same")


async def test_document_has_one_printed_form(books: Books) -> None:
    of = {"client_id": await books.client(), "document_id": str(uuid.uuid4())}
    await books.add(PrintedDocument, **of)
    await books.add(PrintedDocument, **of, is_void=True)
    await books.add(PrintedDocument, **of, kind=DocumentKind.RECEIPT)
    async with refused(books, "UNIQUE", "pk_printed_document"):
        await books.add(PrintedDocument, **of, content=b"another")
    async with refused(books, "CHECK", "ck_printed_document_void_is_an_invoice"):
        await books.add(PrintedDocument, **of, kind=DocumentKind.STATEMENT, is_void=True)


# -- values ----------------------------------------------------------------------------------------

DIGITS = [
    (Clinician, "npi", "1234567893"),
    (Letterhead, "npi", "1234567893"),
    (Letterhead, "tax_id_last4", "6789"),
    (PaymentMethod, "last4", "4242"),
    (Payment, "card_last4", "4242"),
    (SuperbillLine, "place_of_service", "11"),
]


@pytest.mark.parametrize(("row", "column", "right"), DIGITS)
async def test_text_of_digits_has_the_exact_length(
    every_row: Books, row: type[Row], column: str, right: str
) -> None:
    await every_row.change_all(row, **{column: right})
    wrong = [right[:-1], right + "1", right[:-1] + "x", " " + right[1:], right[:-1] + "٣", ""]
    for value in wrong:
        async with refused(every_row, "CHECK", f"ck_{row.__tablename__}_{column}_digits"):
            await every_row.change_all(row, **{column: value})


CHOICES = [
    (row, column)
    for row in DEFAULTS
    for column in table(row).columns
    # Entries of the audit log admit no change at all.
    if isinstance(column.type, Enum) and row is not AccessEntry
]


# Values that satisfy the other constraints when the enum's value is unknown to them.
FITTING = {
    "card_setup.state": {"payment_method_id": None},
    "ledger_entry.kind": {"invoice_id": None},
    "payment.state": {"paid_at": None},
    "token.kind": {"client_id": None, "contact_id": None},
}


@pytest.mark.parametrize(
    ("row", "column"), [pytest.param(*each, id=str(each[1])) for each in CHOICES]
)
async def test_enum_column_admits_only_its_values(
    every_row: Books, row: type[Row], column: Column[Any]
) -> None:
    """Use plain SQL, since SQLAlchemy would refuse the value before the database."""
    async with refused(every_row, "CHECK", f"ck_{row.__tablename__}_{column.name}"):
        unknown: dict[str, Any] = {column.name: literal_column("'OF_NO_KIND'")}
        await every_row.change_all(row, **unknown, **FITTING.get(str(column), {}))


AMOUNTS = [
    (row, column)
    for row in DEFAULTS
    for column in table(row).columns
    if column.name.endswith("_minor")
]


# A statement's amounts have to add up, so one amount alone cannot be too large.
ADDING_UP = {
    "beginning_minor": {"paid_minor": 1, "ending_minor": LIMIT - 1},
    "ending_minor": {"beginning_minor": LIMIT - 1, "invoiced_minor": 1},
    "invoiced_minor": {"paid_minor": 1, "ending_minor": LIMIT - 1},
    "paid_minor": {"invoiced_minor": 1, "ending_minor": 1 - LIMIT},
}


@pytest.mark.parametrize(
    ("row", "column"), [pytest.param(*each, id=str(each[1])) for each in AMOUNTS]
)
@pytest.mark.parametrize("sign", [1, -1])
async def test_amounts_beyond_json_numbers_are_refused(
    every_row: Books, row: type[Row], column: Column[Any], sign: int
) -> None:
    values = {column.name: LIMIT}
    if row is Statement:
        values |= dict.fromkeys(ADDING_UP, 0) | ADDING_UP[column.name] | values
    # Some amounts may not be negative, and either constraint may be named first.
    constraint = "_exact" if sign > 0 else f"ck_{row.__tablename__}_"
    async with refused(every_row, "CHECK", constraint):
        await every_row.change_all(row, **{name: sign * amount for name, amount in values.items()})


@pytest.mark.parametrize(
    ("row", "column"),
    [(Invoice, "total_minor"), (LedgerEntry, "amount_minor"), (Allocation, "amount_minor")],
)
@pytest.mark.parametrize("amount", [LIMIT - 1, 1 - LIMIT])
async def test_largest_exact_amounts_are_accepted(
    every_row: Books, row: type[Row], column: str, amount: int
) -> None:
    await every_row.change_all(row, **{column: amount})
    assert await every_row.count(row, **{column: amount}) == await every_row.count(row)


FAMILIES, NOBODY = "charges_name_an_invoice", str(uuid.UUID(int=1))
CHARGES = (EntryKind.SESSION, EntryKind.CHARGE, EntryKind.WRITE_OFF, EntryKind.ADJUSTMENT)
OF_MONEY = {"kind": EntryKind.PAYMENT, "amount_minor": -1, "invoice_id": None}
OF_REFUND = {"kind": EntryKind.REFUND, "amount_minor": 1, "invoice_id": None}
REFUSED = {"state": "REFUSED", "payment_method_id": None}


@pytest.mark.parametrize(
    ("row", "values", "constraint"),
    [
        (ContactRight, {"sees_documents": False, "can_pay": False}, "some_right"),
        (Invoice, {"is_void": True}, "void_has_a_day"),
        (Invoice, {"voided_on": DAY}, "void_has_a_day"),
        (InvoiceLine, {"quantity_hundredths": 0}, "quantity_positive"),
        (SuperbillLine, {"units_hundredths": 0}, "units_positive"),
        (Session, {"fee_minor": -1}, "fee_positive"),
        (Payment, {"amount_minor": -1}, "amount_positive"),
        (Payment, {"paid_at": None}, "paid_has_a_time"),
        (Payment, {"state": PaymentState.PROCESSING}, "paid_has_a_time"),
        (Payment, {"state": PaymentState.FAILED, "paid_at": None}, "failed_has_a_reason"),
        (Allocation, {"amount_minor": 0}, "amount_not_zero"),
        (Allocation, {"payment_id": None}, "has_a_source"),
        (Claim, {"amount_minor": 0}, "amount_positive"),
        (Claim, {"amount_minor": -1}, "amount_positive"),
        (PaymentMethod, {"exp_month": 0}, "exp_month"),
        (PaymentMethod, {"exp_month": 13}, "exp_month"),
        (PaymentMethod, {"exp_year": 30}, "exp_year"),
        (Statement, {"ending_minor": 10001}, "sum"),
        (Statement, {"period_end": DAY - dt.timedelta(1)}, "period_in_order"),
        (Superbill, {"period_end": DAY - dt.timedelta(1)}, "period_in_order"),
        (DocumentCounter, {"last": -1}, "last_positive"),
        (DocumentCounter, {"prefix": "INV 1"}, "prefix_bounds"),
        (OutboxEvent, {"version": 0}, "version_positive"),
        (OutboxEvent, {"position": 0}, "position_positive"),
        (EventEndpoint, {"after_version": -1}, "version_positive"),
        (EventEndpoint, {"after_position": -1}, "position_positive"),
        (EventEndpoint, {"failures": -1}, "failures_positive"),
        (EventEndpoint, {"former_secret_encrypted": b"old"}, "former_secret_ends"),
        (EventEndpoint, {"kinds": ["INVOICE_LOST"]}, "kinds_known"),
        (DocumentSchedule, {"kind": DocumentKind.INVOICE}, "kind_is_of_a_month"),
        (DocumentSchedule, {"day_of_month": 0}, "day_of_every_month"),
        (DocumentSchedule, {"day_of_month": 29}, "day_of_every_month"),
        (Practice, {"days_until_due": -1}, "days_until_due_positive"),
        (Practice, {"currency": "DM"}, "currency_known"),
        (Practice, {"currency": "jpy"}, "currency_known"),
        (Practice, {"currency": "ZZZ"}, "currency_known"),
        (Practice, {"stripe_account": "acct_1\nacct_2"}, "stripe_account_bounds"),
        (Token, {"scopes": ["PHI_READ", "ALL"]}, "scopes_known"),
        (Client, {"created_at": dt.datetime(1, 1, 1, tzinfo=dt.UTC)}, "created_at_bounds"),
        (Client, {"address_line1": "1 Harbor Lane"}, "address_whole"),
        (Client, {"merged_into": NOBODY}, "merged_is_archived"),
        (Letterhead, {"address_country": "US"}, "address_whole"),
        (Practice, {"address_city": "Portland"}, "address_whole"),
        (Superbill, {"address_postal_code": "04101"}, "address_whole"),
        (Token, {"kind": ViewerKind.DASHBOARD}, "one_subject"),
        (Token, {"kind": ViewerKind.CONTACT}, "one_subject"),
        (Token, {"client_id": None}, "one_subject"),
        (Token, {"scopes": ["BILLING_READ", "BILLING_WRITE"]}, "integration_writes"),
        (SignInLink, {"used_at": None}, "used_has_a_token"),
        # A charge names an invoice. Funds name none: allocations put them toward invoices.
        *[(LedgerEntry, {"kind": kind, "invoice_id": None}, FAMILIES) for kind in CHARGES],
        (LedgerEntry, {"kind": EntryKind.CREDIT}, FAMILIES),
        (LedgerEntry, {"kind": EntryKind.PAYMENT, "amount_minor": -1}, FAMILIES),
        (LedgerEntry, {"kind": EntryKind.REFUND}, FAMILIES),
        (LedgerEntry, {"kind": EntryKind.DISPUTE, "dispute_id": NOBODY}, FAMILIES),
        (LedgerEntry, OF_MONEY | {"payment_id": None}, "money_is_a_payment"),
        (LedgerEntry, OF_MONEY | {"amount_minor": 1}, "payment_lowers"),
        (LedgerEntry, OF_REFUND | {"payment_id": None}, "money_is_a_payment"),
        (LedgerEntry, {"kind": EntryKind.DISPUTE, "invoice_id": None}, "dispute_is_named"),
        (LedgerEntry, {"dispute_id": NOBODY}, "dispute_is_named"),
        (Allocation, {"dispute_id": NOBODY}, "one_reversal"),
        (CardSetup, {"payment_method_id": None}, "kept_is_a_card"),
        (CardSetup, {"state": "PREPARED"}, "kept_is_a_card"),
        (CardSetup, REFUSED, "refused_has_a_reason"),
        (CardSetup, {"stripe_id": None}, "ended_is_named"),
        (Refund, {"amount_minor": 0}, "amount_positive"),
        (Refund, {"stripe_id": None}, "known_has_an_id"),
        (Dispute, {"amount_minor": 0}, "amount_positive"),
    ],
)
async def test_inconsistent_row_is_refused(
    every_row: Books, row: type[Row], values: dict[str, Any], constraint: str
) -> None:
    async with refused(every_row, "CHECK", f"ck_{row.__tablename__}_{constraint}"):
        await every_row.change_all(row, **values)


ONE_ADDRESS = ("ana@example.com", " ana@example.com ", "a.b+c@d", "josé@пример.example", "o'b@x")
NOT_ONE_ADDRESS = (
    *(
        "a@x, evil@y",
        "a@x,evil@y",
        "a@x;evil@y",
        "Ana <a@x>",
        '"a"@x',
        "a@x evil@y",
        "a@x\nb",
        "a\t@x",
    ),
    *(
        "a@x\u00a0",
        "a@x\x7f",
        "@x",
        "a@",
        "a",
        "",
        " ",
        "a@b@c",
        "a(b)@x",
        "[a]@x",
        "a\\b@x",
        "a@x\u0085",
    ),
)


@pytest.mark.parametrize("row", [Client, Contact, Practice])
async def test_email_column_admits_exactly_one_address(every_row: Books, row: type[Row]) -> None:
    """With several addresses, a mail would go to another person as well."""
    for address in ONE_ADDRESS:
        await every_row.change_all(row, email=address)
    for address in NOT_ONE_ADDRESS:
        async with refused(every_row, "CHECK", f"ck_{row.__tablename__}_email_one_address"):
            await every_row.change_all(row, email=address)


# -- owners of rows --------------------------------------------------------------------------------

Link = tuple[type[Row], ForeignKeyConstraint]


def name_of(link: Link) -> str:
    return f"{link[0].__tablename__}.{link_column(link[1])}"


LINKS: list[Link] = [
    (row, link) for row in DEFAULTS for link in all_links(row) if len(link.elements) > 1
]


@pytest.mark.share(4)
@pytest.mark.parametrize(("row", "link"), LINKS, ids=map(name_of, LINKS))
async def test_row_can_not_refer_to_another_practice(
    books: Books, row: type[Row], link: ForeignKeyConstraint
) -> None:
    elsewhere = await Books.opened(books.connection)
    await elsewhere.fill()
    await books.fill(until=row)
    if link.referred_table.name == row.__tablename__:
        await books.add(row, **books.links(row))
    async with refused(books, "FOREIGN KEY", f"fk_{row.__tablename__}_practice_id_"):
        await books.add(row, **books.links(row, link, elsewhere))
    await books.add(row, **books.links(row, link, books))


@pytest.mark.parametrize("row", [Payment, LedgerEntry])
async def test_row_without_other_references_has_a_client_of_the_practice(
    books: Books, row: type[Row]
) -> None:
    elsewhere = await Books.opened(books.connection)
    async with refused(books, "FOREIGN KEY", f"fk_{row.__tablename__}_practice_id_client_id"):
        await books.add(row, client_id=await elsewhere.client())


WITHIN_CLIENT = [link for link in LINKS if "client_id" in link[1].column_keys[:-1]]


@pytest.mark.parametrize(("row", "link"), WITHIN_CLIENT, ids=map(name_of, WITHIN_CLIENT))
async def test_row_can_not_refer_to_another_clients_row(
    books: Books, row: type[Row], link: ForeignKeyConstraint
) -> None:
    another = books.beside()
    await another.fill(until=row)
    await books.fill(until=row)
    async with refused(books, "FOREIGN KEY", str(link.name)):
        await books.add(row, **books.links(row, link, another))
    await books.add(row, **books.links(row, link, books))


def test_every_reference_to_an_invoice_payment_or_card_is_within_the_client() -> None:
    kept = {"invoice", "payment", "payment_method"}
    loose = [link for link in LINKS if link not in WITHIN_CLIENT]
    # A line has no client column: it belongs to its invoice.
    assert [name_of(link) for link in loose if referred(link[1]) in kept] == [
        "invoice_line.invoice_id"
    ]


OF_PRACTICE = [row for row in DEFAULTS if "practice" in map(referred, all_links(row))]


@pytest.mark.parametrize("row", OF_PRACTICE)
async def test_row_belongs_to_an_existing_practice(books: Books, row: type[Row]) -> None:
    nowhere = Books(books.connection, str(uuid.uuid4()))
    async with refused(books, "FOREIGN KEY", f"fk_{row.__tablename__}_practice_id"):
        await nowhere.add(row)


async def test_referenced_row_can_not_be_deleted(every_row: Books) -> None:
    assert {link.ondelete for _, link in LINKS} == {"RESTRICT"}
    async with refused(every_row, "FOREIGN KEY", "fk_invoice_line"):
        await every_row.connection.execute(
            delete(Invoice).where(Invoice.id == await every_row.invoice_with_a_line())
        )


# The database's identity, the inbox of webhooks and the requests to sign in belong to no practice,
# and refer to nothing.
NOBODYS = {"installation", "stripe_event", "sign_in_limit", "sign_in_request"}


def test_every_table_is_tested() -> None:
    assert {row.__tablename__ for row in DEFAULTS} == set(Row.metadata.tables) - NOBODYS
