"""A practice whose books are kept by the writers, and reads of its rows."""

import datetime as dt
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.audit_log import Actor
from billing.entry import commands
from billing.entry.client_ledger import ClientMaker
from billing.entry.commands import EntryContext
from billing.entry.external_ids import ExternalId
from billing.entry.invoices import NewInvoice, NewLine, issue_invoice
from billing.entry.people import (
    CLIENT,
    ClientDetails,
    ClinicianDetails,
    PostalAddress,
    add_clinician,
)
from billing.entry.practices import PracticeDetails
from billing.entry.sessions import SessionDetails, record_session
from models import ActorKind, Allocation, LedgerEntry, Row
from models.database import open_engine
from models.ids import IdSequence
from models.row import written
from tests.support.empty_databases import prepare

W = TypeVar("W")
PRACTICE = PracticeDetails(
    name="Harbor Counseling",
    time_zone="America/New_York",
    currency="USD",
    locale="en-US",
    address=PostalAddress("17 Harbor Lane", "Portland", "04101", "US"),
)
# Noon of the day in New York.
START = dt.datetime(2026, 3, 2, 17, tzinfo=dt.UTC)


class EntryClock:
    """A clock that tests set, a second later at each look."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> dt.datetime:
        self.time += dt.timedelta(seconds=1)
        return self.time


class EntryDesk:
    """A practice with one clinician and one client, and entries for that client."""

    def __init__(self, engine: AsyncEngine, seed: int = 1) -> None:
        self.engine, self.clock = engine, EntryClock()
        chance = random.Random(seed)
        self.context = EntryContext(
            engine, self.clock, ids=lambda now: IdSequence(now, chance.getrandbits)
        )
        self.practice_id, self.client_id, self.clinician_id = "", "", ""

    async def open(self) -> "EntryDesk":
        self.practice_id = await commands.enter_practice(self.context, PRACTICE)
        doctor = ClinicianDetails("Ruth Adeyemi", "PhD", "1234567893")
        self.clinician_id = await commands.enter_for_practice(
            self.context, self.practice_id, add_clinician, doctor
        )
        self.client_id = await self.add_client("Ana Prieto")
        operator = Actor(self.practice_id, ActorKind.OPERATOR, operation="test", name="Olga")
        self.context = EntryContext(self.engine, self.clock, operator, ids=self.context.ids)
        return self

    async def add_client(self, name: str, external: ExternalId | None = None) -> str:
        details = ClientDetails(name, clinician_id=self.clinician_id)
        return await commands.enter_for_practice(
            self.context, self.practice_id, CLIENT.add, details, external
        )

    async def enter(
        self, maker: ClientMaker[Any], wanted: Any, external: ExternalId | None = None
    ) -> str:
        return await commands.enter_for_client(
            self.context, self.practice_id, self.client_id, maker, wanted, external
        )

    async def session(self, fee_minor: int = 15_000) -> str:
        today = self.clock.time.date()
        details = SessionDetails(today, "Psychotherapy", fee_minor, service_code="90834")
        return await self.enter(record_session, details)

    async def invoice(self, *amounts: int, **more: Any) -> str:
        """Issue an invoice with a charge for each amount."""
        lines = [NewLine("Letter", amount) for amount in amounts]
        return await self.enter(issue_invoice, NewInvoice(lines, **more))

    # -- reads -------------------------------------------------------------------------------------

    async def rows(self, table: Any, **values: Any) -> list[dict[str, Any]]:
        """Return the practice's rows of a table, in the order of their entry."""
        columns = table.__table__.c
        of = columns.practice_id if "practice_id" in columns else columns.id
        conditions = [columns[name] == value for name, value in values.items()]
        statement = select(*written(table).values()).where(of == self.practice_id, *conditions)
        async with self.engine.connect() as conn:
            found = await conn.execute(statement.order_by(*table.__table__.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def row(self, table: Any, row_id: str) -> dict[str, Any]:
        (found,) = await self.rows(table, id=row_id)
        return found

    async def sum(self, table: type[LedgerEntry | Allocation], **values: Any) -> int:
        """Return the sum of the client's amounts."""
        return sum(row["amount_minor"] for row in await self.rows(table, **values))

    async def due(self, invoice_id: str) -> int:
        billed = await self.sum(LedgerEntry, invoice_id=invoice_id)
        return billed - await self.sum(Allocation, invoice_id=invoice_id)

    async def unallocated(self) -> int:
        funds = await self.sum(LedgerEntry, client_id=self.client_id, invoice_id=None)
        return -funds - await self.sum(Allocation, client_id=self.client_id)

    async def balance(self) -> int:
        return await self.sum(LedgerEntry, client_id=self.client_id)

    async def counts(self) -> Mapping[str, int]:
        """Return the number of rows of each table, over the whole database."""
        async with self.engine.connect() as conn:
            return {
                name: int(await conn.scalar(select(func.count()).select_from(table)) or 0)
                for name, table in Row.metadata.tables.items()
            }


@asynccontextmanager
async def entry_desk(url: str, seed: int = 1) -> AsyncIterator[EntryDesk]:
    """Yield the desk of a practice in an empty database."""
    await prepare(url)
    async with open_engine(url) as engine:
        yield await EntryDesk(engine, seed).open()
