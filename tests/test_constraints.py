"""What the database itself holds, whoever writes to it: on both of them, after the migrations."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import ForeignKeyConstraint, Table, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models import (
    Allocation,
    Claim,
    Client,
    Clinician,
    Contact,
    ContactRight,
    DocumentCounter,
    DocumentKind,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    Receipt,
    Row,
    Session,
    Statement,
    StatementLine,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
    Token,
    connections,
    migrations,
)

DAY = dt.date(2026, 3, 2)
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
LIMIT = 2**53

# What a row of each table needs beside the rows that it refers to.
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
    Contact: {"name": "Robin Appleseed"},
    ContactRight: {"relation": "PARTNER", "sees_documents": True, "can_pay": False},
    DocumentCounter: {"kind": DocumentKind.INVOICE, "last": 0},
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
        "brand": "VISA",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2030,
        "is_default": False,
        "added_at": NOON,
        "consent_version": "1",
        "consented_at": NOON,
    },
    Payment: {
        "method": "CASH",
        "state": PaymentState.SUCCEEDED,
        "amount_minor": 5000,
        "created_at": NOON,
        "created_on": DAY,
        "paid_at": NOON,
    },
    Allocation: {"is_credit": False, "amount_minor": 5000, "date": DAY, "created_at": NOON},
    Claim: {"amount_minor": 5000},
    LedgerEntry: {
        "date": DAY,
        "kind": EntryKind.ADJUSTMENT,
        "description": "Adjustment",
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
}
# Columns that have to differ from row to row.
SERIALS = ("serial", "stripe_id", "fingerprint", "reference", "hash")


class Books:
    """A practice's rows, written with as little said as a test needs."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.practice = str(uuid.uuid4())
        self.written = 0

    @classmethod
    async def opened(cls, connection: AsyncConnection) -> "Books":
        books = cls(connection)
        values = DEFAULTS[Practice] | {"id": books.practice}
        await connection.execute(insert(Practice).values(values))
        return books

    async def add(self, row: type[Row], **given: Any) -> str:
        """Insert a row, and give its id."""
        self.written += 1
        columns = table(row).columns
        fresh: dict[str, Any] = {"practice_id": self.practice, "id": str(uuid.uuid4())}
        for name in SERIALS:
            numeric = name in columns and columns[name].type.python_type is int
            fresh[name] = self.written if numeric else f"{self.practice} {self.written}"
        needed = {name: value for name, value in fresh.items() if name in columns}
        if nullable_stripe_id(row):
            needed.pop("stripe_id")
        values = needed | DEFAULTS[row] | given
        await self.connection.execute(insert(row).values(values))
        return str(values.get("id"))

    async def invoice(self, client: str, *sessions: str) -> str:
        letterhead = await self.add(Letterhead)
        invoice = await self.add(Invoice, client_id=client, letterhead_id=letterhead)
        for position, session in enumerate(sessions, 1):
            await self.line(invoice, session, position=position)
        return invoice

    async def line(self, invoice: str, session: str | None, **given: Any) -> None:
        await self.add(InvoiceLine, invoice_id=invoice, session_id=session, **given)

    async def card(self, client: str, **given: Any) -> str:
        return await self.add(PaymentMethod, client_id=client, **given)

    async def payment(self, client: str, state: str = "SUCCEEDED", **given: Any) -> str:
        paid_at = NOON if state == "SUCCEEDED" else None
        given = {"state": state, "paid_at": paid_at} | given
        return await self.add(Payment, client_id=client, **given)

    async def void(self, invoice: str) -> None:
        await self.connection.execute(
            text("UPDATE invoice SET is_void = true, voided_on = :day WHERE id = :id").bindparams(
                id=key(self.connection, invoice), day=day(self.connection, DAY)
            )
        )


def table(row: type[Row]) -> Table:
    made = row.__table__
    assert isinstance(made, Table)
    return made


def nullable_stripe_id(row: type[Row]) -> bool:
    return "stripe_id" in table(row).columns and bool(table(row).columns["stripe_id"].nullable)
