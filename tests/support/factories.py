"""Factories of a practice's rows, with defaults for each column that a test does not set."""

import datetime as dt
import itertools
import uuid
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Table,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from models import (
    AccessEntry,
    Allocation,
    CardSetup,
    ChainedTable,
    ChainLink,
    ChainRoot,
    Claim,
    Client,
    ClientNamePart,
    Clinician,
    Contact,
    ContactRight,
    DataVersion,
    DeclineReason,
    Detachment,
    Dispute,
    DocumentCounter,
    DocumentKind,
    DocumentSchedule,
    EndpointStatus,
    EntryKind,
    ErasedValue,
    EventEndpoint,
    EventKind,
    ExternalReference,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    Logo,
    OutboxEvent,
    PastImport,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    PracticeVersion,
    PrintedDocument,
    Receipt,
    Recovery,
    Refund,
    Row,
    Session,
    SignInLink,
    Statement,
    StatementLine,
    StripeCustomer,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
    Token,
    UnadoptedPayment,
)


class Books:
    """The rows of a practice. Each method inserts one, with defaults."""

    def __init__(self, conn: AsyncConnection, practice: str) -> None:
        self.connection, self.practice = conn, practice
        self.ids: dict[str, str] = {"practice": practice}

    @classmethod
    async def opened(cls, conn: AsyncConnection) -> "Books":
        practice = str(uuid.uuid4())
        await conn.execute(insert(Practice).values(DEFAULTS[Practice] | {"id": practice}))
        return cls(conn, practice)

    def beside(self) -> "Books":
        """Return the books of another client in the same practice."""
        other = Books(self.connection, self.practice)
        other.ids |= {row.__tablename__: "one for the practice" for row in ONE_A_PRACTICE}
        return other

    async def add(self, row: type[Row], **given: Any) -> str:
        """Insert a row, and return its id."""
        columns = table(row).columns
        needed = {"practice_id": self.practice, "id": str(uuid.uuid4())}
        fresh = {name: fresh_number(columns[name]) for name in NUMBERED if name in columns}
        own = {name: value for name, value in needed.items() if name in columns}
        values = own | fresh | DEFAULTS[row] | given
        await self.connection.execute(insert(row).values(values))
        self.ids[row.__tablename__] = str(values.get("id"))
        return self.ids[row.__tablename__]

    async def change(self, row: type[Row], key: str, **values: Any) -> None:
        await self.connection.execute(
            update(row).where(table(row).columns["id"] == key).values(values)
        )

    async def change_all(self, row: type[Row], **values: Any) -> None:
        """Change all rows of this practice."""
        columns = table(row).columns
        of = columns["practice_id"] if "practice_id" in columns else columns["id"]
        await self.connection.execute(update(row).where(of == self.practice).values(values))

    async def count(self, row: type[Row], **values: Any) -> int:
        columns = table(row).columns
        wanted = select(func.count()).where(
            *(columns[name] == value for name, value in values.items())
        )
        return int(await self.connection.scalar(wanted.select_from(row)) or 0)

    async def client(self) -> str:
        return await self.add(Client)

    async def card(self, client: str, **given: Any) -> str:
        return await self.add(PaymentMethod, client_id=client, **given)

    async def payment(
        self, client: str, state: PaymentState = PaymentState.SUCCEEDED, **given: Any
    ) -> str:
        paid_at = NOON if state == PaymentState.SUCCEEDED else None
        reason = DeclineReason.GENERIC if state == PaymentState.FAILED else None
        values = {"state": state, "paid_at": paid_at, "failure_reason": reason} | given
        return await self.add(Payment, client_id=client, **values)

    async def invoice(self, client: str, *sessions: str, **given: Any) -> str:
        letterhead = await self.add(Letterhead)
        invoice = await self.add(Invoice, client_id=client, letterhead_id=letterhead, **given)
        for position, session in enumerate(sessions, 1):
            await self.line(invoice, session, position=position)
        return invoice

    async def line(self, invoice: str, session: str | None, **given: Any) -> None:
        await self.add(InvoiceLine, invoice_id=invoice, session_id=session, **given)

    async def document(self, row: type[Row], **given: Any) -> str:
        """Insert an invoice, statement, superbill or receipt of a new client, and return its id."""
        client = await self.client()
        if row is Receipt:
            given["payment_id"] = await self.payment(client)
        else:
            given["letterhead_id"] = await self.add(Letterhead)
        return await self.add(row, client_id=client, **given)

    async def invoice_with_a_line(self) -> str:
        invoice = await self.invoice(await self.client())
        await self.line(invoice, None)
        return invoice

    async def fill(self, until: type[Row] | None = None) -> None:
        """Insert a row of one client in each table, or in each table that `until` may refer to."""
        rows = {row.__tablename__: row for row in DEFAULTS if row is not Practice}
        for name in (each.name for each in Row.metadata.sorted_tables if each.name in rows):
            if rows[name] is until:
                return
            if rows[name] not in ONE_A_PRACTICE or self.ids.get(name) is None:
                await self.add(rows[name], **self.links(rows[name]))

    def links(
        self, row: type[Row], one: ForeignKeyConstraint | None = None, whose: "Books | None" = None
    ) -> dict[str, Any]:
        """Return the columns of a row that refer to others of this client; those of `one` refer to
        `whose`.
        """
        links: dict[str, Any] = {
            link_column(link): self.ids[referred(link)]
            for link in all_links(row)
            if referred(link) != table(row).name
        }
        if "client_id" in table(row).columns:
            # An audit entry has no foreign key, and may be inserted before a client.
            links["client_id"] = self.ids.get("client")
        if row in HELD:
            # The client is the holder, unless the reference to a contact is tested.
            is_contact = one is not None and referred(one) == "contact"
            of_contact = links["contact_id"] if is_contact else None
            links["contact_id"] = of_contact
            if of_contact and row in (StripeCustomer, Detachment):
                links["client_id"] = None
        if row is Token:
            # A token belongs to one subject: a client, unless its reference to a contact is tested.
            kind = referred(one) if one is not None else "client"
            links = {"client_id": None, "contact_id": None, f"{kind}_id": links[f"{kind}_id"]}
            links |= {"kind": kind.upper()}
        if row is Client and one is not None and link_column(one) == "merged_into":
            # A merged client is archived.
            links["archived_on"] = DAY
        if row is LedgerEntry:
            # A charge names an invoice, and a fund a payment and its dispute.
            is_charge = one is None or referred(one) != "dispute"
            links |= {"kind": EntryKind.ADJUSTMENT if is_charge else EntryKind.DISPUTE}
            links["dispute_id" if is_charge else "invoice_id"] = None
        if row is Allocation:
            # Funds are taken back by a refund or by a dispute.
            is_dispute = one is not None and referred(one) == "dispute"
            links["refund_id" if is_dispute else "dispute_id"] = None
        if row is SignInLink:
            links |= {"used_at": NOON, "used_nonce_hash": ""}
        if one is not None and whose is not None:
            links[link_column(one)] = whose.ids[referred(one)]
        return links


def fresh_number(column: Column[Any]) -> Any:
    return next(NUMBERS) if column.type.python_type is int else str(uuid.uuid4())


# The tables whose rows are of a client, or of a contact.
HELD = (PaymentMethod, CardSetup, StripeCustomer, Detachment, Payment, Receipt)
DAY = dt.date(2026, 3, 2)
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
LIMIT = 2**53


def table(row: type[Row]) -> Table:
    made = row.__table__
    assert isinstance(made, Table)
    return made


def link_column(link: ForeignKeyConstraint) -> str:
    """Return the column of a composite foreign key that holds the other row's id."""
    return next(element.parent.name for element in link.elements if element.column.name == "id")


def all_links(row: type[Row]) -> list[ForeignKeyConstraint]:
    return sorted(table(row).foreign_key_constraints, key=link_column)


def referred(link: ForeignKeyConstraint) -> str:
    return link.referred_table.name


# Tables with one default row per practice.
ONE_A_PRACTICE = (
    ChainRoot,
    DataVersion,
    DocumentCounter,
    DocumentSchedule,
    ExternalReference,
    Logo,
    PracticeVersion,
    UnadoptedPayment,
)

# Columns that a row of each table needs in addition to its references.
DEFAULTS: dict[type[Row], dict[str, Any]] = {
    Practice: {
        "name": "Harbor Lane",
        "time_zone": "America/New_York",
        "currency": "USD",
        "locale": "en-US",
        "clients_remove_cards": False,
    },
    Clinician: {"name": "Ruth Adeyemi"},
    Letterhead: {"name": "Harbor Lane"},
    Client: {"name": "Jamie Appleseed", "created_at": NOON},
    ClientNamePart: {"position": 1, "text": "jamie appleseed"},
    Contact: {"name": "Robin Appleseed"},
    ContactRight: {"relation": "PARTNER", "sees_documents": True, "can_pay": False},
    PracticeVersion: {"version": 1},
    DataVersion: {"part": str(uuid.UUID(int=1)), "version": str(uuid.UUID(int=1))},
    Recovery: {
        "restored_from": "1/1/1",
        "restored_to": "1/2/1",
        "began_at": NOON,
        "ended_at": NOON,
    },
    UnadoptedPayment: {
        "stripe_account": "acct_1",
        "stripe_id": "pi_lost",
        "received_minor": 1,
        "found_at": NOON,
    },
    AccessEntry: {
        "kind": "DASHBOARD",
        "name": "Monthly report",
        "fields": [],
        "action": "READ",
        "at": NOON,
    },
    Logo: {"since": DAY, "content": b"<svg/>"},
    ChainLink: {
        "table_name": ChainedTable.LEDGER_ENTRY,
        "row_key": str(uuid.UUID(int=1)),
        "added_at": NOON,
        "hash": bytes(32),
    },
    ErasedValue: {
        "table_name": ChainedTable.LEDGER_ENTRY,
        "digest": bytes(32),
        "erased_at": NOON,
    },
    ChainRoot: {"day": DAY, "hash": bytes(32), "made_at": NOON},
    PrintedDocument: {
        "kind": DocumentKind.INVOICE,
        "is_void": False,
        "content": b"%PDF-1.7",
        "is_archival": True,
        "printed_at": NOON,
    },
    ExternalReference: {
        "source": "ehr",
        "kind": "invoice",
        "external_id": "1",
        "row_id": str(uuid.UUID(int=1)),
        "digest": "",
        "changed_at": NOON,
    },
    PastImport: {"source": "ehr", "imported_at": NOON, "entered": 1, "changed": 0},
    DocumentCounter: {"kind": DocumentKind.INVOICE, "last": 0},
    DocumentSchedule: {
        "kind": DocumentKind.STATEMENT,
        "day_of_month": 3,
        "month": DAY.replace(day=1),
        "attempt_at": NOON,
    },
    OutboxEvent: {
        "version": 1,
        "kind": EventKind.INVOICE_ISSUED,
        "row_id": str(uuid.UUID(int=1)),
        "row_state": "",
        "occurred_at": NOON,
    },
    EventEndpoint: {
        "url": "https://example.com/events",
        "kinds": [],
        "secret_encrypted": b"",
        "status": EndpointStatus.ACTIVE,
        "after_version": 0,
        "after_position": 0,
        "failures": 0,
        "created_at": NOON,
    },
    Session: {"date": DAY, "description": "Psychotherapy", "fee_minor": 15000},
    Invoice: {
        "client_name": "Jamie Appleseed",
        "number": "INV-2026-0001",
        "issued_on": DAY,
        "total_minor": 15000,
        "is_void": False,
    },
    InvoiceLine: {
        "position": 1,
        "description": "Psychotherapy",
        "quantity_hundredths": 100,
        "unit_price_minor": 15000,
        "amount_minor": 15000,
        "is_void": False,
    },
    PaymentMethod: {
        "stripe_account": "acct_1",
        "brand": "VISA",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2030,
        "is_default": False,
        "is_shared": False,
        "added_at": NOON,
        "consent_version": "1",
        "consented_at": NOON,
    },
    Payment: {
        "method": "CASH",
        "state": PaymentState.SUCCEEDED,
        "amount_minor": 5000,
        "stripe_account": "acct_1",
        "created_at": NOON,
        "created_on": DAY,
        "paid_at": NOON,
    },
    Allocation: {"is_credit": False, "amount_minor": 5000, "date": DAY, "created_at": NOON},
    Claim: {"amount_minor": 5000},
    CardSetup: {
        "stripe_account": "acct_1",
        "state": "KEPT",
        "was_on_file": False,
        "consent_version": "1",
        "created_at": NOON,
        "changed_at": NOON,
    },
    Detachment: {
        "stripe_account": "acct_1",
        "is_customer": False,
        "created_at": NOON,
        "checked_at": NOON,
    },
    StripeCustomer: {"stripe_account": "acct_1", "created_at": NOON},
    Refund: {
        "amount_minor": 100,
        "state": "SUCCEEDED",
        "stripe_account": "acct_1",
        "created_at": NOON,
        "changed_at": NOON,
    },
    Dispute: {
        "amount_minor": 100,
        "state": "OPEN",
        "stripe_account": "acct_1",
        "disputed_at": NOON,
        "created_at": NOON,
        "changed_at": NOON,
    },
    LedgerEntry: {
        "date": DAY,
        "posted_on": DAY,
        "kind": EntryKind.CREDIT,
        "description": "Credit",
        "amount_minor": 100,
        "created_at": NOON,
    },
    Receipt: {
        "number": "RCP-2026-0001",
        "amount_minor": 5000,
        "issued_at": NOON,
        "issued_on": DAY,
    },
    Statement: {
        "client_name": "Jamie Appleseed",
        "number": "STM-2026-0001",
        "issued_on": DAY,
        "period_start": DAY,
        "period_end": DAY,
        "beginning_minor": 0,
        "invoiced_minor": 15000,
        "paid_minor": 5000,
        "ending_minor": 10000,
    },
    StatementLine: {
        "position": 1,
        "date": DAY,
        "description": "Invoice",
        "invoiced_minor": 15000,
        "paid_minor": 0,
        "balance_after_minor": 15000,
    },
    Superbill: {
        "client_name": "Jamie Appleseed",
        "number": "SB-2026-0001",
        "issued_on": DAY,
        "period_start": DAY,
        "period_end": DAY,
    },
    SuperbillLine: {
        "position": 1,
        "date": DAY,
        "modifiers": [],
        "units_hundredths": 100,
        "diagnosis_pointers": [],
        "fee_minor": 15000,
        "paid_minor": 5000,
    },
    SuperbillDiagnosis: {"position": 1, "code": "F41.1"},
    Token: {
        "kind": "DASHBOARD",
        "name": "Monthly report",
        "scopes": [],
        "created_at": NOON,
        "expires_at": NOON,
    },
    SignInLink: {
        "email": "ana@example.com",
        "email_hash": "",
        "created_at": NOON,
        "expires_at": NOON,
    },
}
# Columns that have to differ from row to row.
SERIALS = ("serial", "stripe_id", "fingerprint", "reference", "hash")


NUMBERED = (
    *("row_key", "serial", "position", "document_id", "stripe_id", "fingerprint", "reference"),
    *("hash", "secret_hash", "nonce_hash"),
)

NUMBERS = itertools.count(1)
