"""The comparison of each client's balance with the other system's own figure."""

import datetime as dt
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.imports.faults import Faults
from billing.imports.layouts import BY_NAME
from billing.imports.references import LOOKED_UP
from billing.imports.staging import StagedRow, Staging
from billing.imports.values import Formats
from models import Allocation, ExternalReference, LedgerEntry, Payment

# The number of clients that are listed with their rows, and of the rows of each.
EXPLAINED, LISTED = 20, 20
TOTALS = "SELECT * FROM totals ORDER BY as_of, line"
REMEDY = "correct the records, or the balance in the other system; the rows are listed below"


@dataclass
class Proof:
    """The outcome of the comparison: the clients that agree, with the sum of their balances, and
    the rows of clients that don't.
    """

    clients: int = 0
    balance_minor: int = 0
    explanations: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TotalsCheck:
    """The comparison of one practice, in the transaction of the import."""

    conn: AsyncConnection
    staging: Staging
    practice_id: str
    source: str
    formats: Formats
    faults: Faults
    put_off: set[str]
    proof: Proof = field(default_factory=Proof)

    async def compare(self) -> Proof:
        """Compare the balances that the ledger has now with those of the file."""
        for as_of, rows in groupby(self.staging.select(TOTALS), key=lambda row: row["as_of"]):
            day = dt.date.fromisoformat(as_of) if as_of else None
            while some := list(islice(rows, LOOKED_UP)):
                await self.compare_some([row for row in some if self.is_compared(row)], day)
        return self.proof

    def is_compared(self, row: StagedRow) -> bool:
        return row["client_id"] not in self.put_off

    async def compare_some(self, rows: list[StagedRow], day: dt.date | None) -> None:
        ids = await self.client_rows([row["client_id"] for row in rows])
        sums = await self.sums([*ids.values()], day)
        for row in rows:
            client = ids.get(row["client_id"], "")
            balance, unallocated = sums.get(client, (0, 0))
            agrees = self.agrees(row, "balance", balance)
            if row["unallocated"] is not None:
                agrees &= self.agrees(row, "unallocated", unallocated)
            if agrees:
                self.proof.clients += 1
                self.proof.balance_minor += balance
            elif len(self.proof.explanations) < EXPLAINED * (LISTED + 1):
                self.proof.explanations += await self.explanation(row, client)

    def agrees(self, row: StagedRow, column: str, found: int) -> bool:
        """Return whether the amounts are equal; add a fault if they are not."""
        if row[column] is None or row[column] == found:
            return True
        said, comes = self.formats.amount(row[column]), self.formats.amount(found)
        differs = self.formats.amount(found - row[column])
        wrong = f"says {said}, and the ledger comes to {comes} ({differs} more)"
        path = self.staging.path(BY_NAME["totals"])
        self.faults.add(path, row["line"], column, "BALANCE_DIFFERS", wrong, REMEDY)
        return False

    async def client_rows(self, external_ids: list[str]) -> dict[str, str]:
        found = await self.conn.execute(
            select(ExternalReference.external_id, ExternalReference.row_id).where(
                *self.of_source("client"), ExternalReference.external_id.in_(external_ids)
            )
        )
        return {row.external_id: row.row_id for row in found}

    def of_source(self, *kinds: str) -> tuple[Any, ...]:
        return (
            ExternalReference.practice_id == self.practice_id,
            ExternalReference.source == self.source,
            ExternalReference.kind.in_(kinds),
        )

    async def sums(self, clients: list[str], day: dt.date | None) -> dict[str, tuple[int, int]]:
        """Return each client's balance, as of a day if there is one, and unallocated funds."""
        minor, is_fund = LedgerEntry.amount_minor, LedgerEntry.invoice_id.is_(None)
        is_counted = LedgerEntry.posted_on <= (day or dt.date.max)
        not_told = await self.not_told(clients, is_counted)
        moved = select(
            LedgerEntry.client_id,
            func.sum(case((is_counted, minor), else_=0)),
            func.sum(case((is_fund, -minor), else_=0)),
        )
        put = select(Allocation.client_id, func.sum(Allocation.amount_minor))
        allocated: dict[str, int] = {}
        for client, total in await self.conn.execute(self.of_clients(put, Allocation, clients)):
            allocated[client] = int(total)
        return {
            client: (
                int(balance) - not_told.get(client, 0),
                int(funds) - allocated.get(client, 0),
            )
            for client, balance, funds in await self.conn.execute(
                self.of_clients(moved, LedgerEntry, clients)
            )
        }

    async def not_told(self, clients: list[str], is_counted: Any) -> dict[str, int]:
        """Return the sums of the portal's own payments that the other system does not have yet.

        A client may have paid since the files were written.
        """
        told = select(ExternalReference.row_id).where(
            *self.of_source("payment"), ExternalReference.row_id == LedgerEntry.payment_id
        )
        own = and_(
            Payment.practice_id == LedgerEntry.practice_id, Payment.id == LedgerEntry.payment_id
        )
        moved = select(LedgerEntry.client_id, func.sum(LedgerEntry.amount_minor))
        moved = moved.join(Payment, own).where(
            Payment.stripe_id.is_not(None), ~told.exists(), is_counted
        )
        found = await self.conn.execute(self.of_clients(moved, LedgerEntry, clients))
        return {client: int(total) for client, total in found}

    def of_clients(self, statement: Any, table: Any, clients: list[str]) -> Any:
        own = table.practice_id == self.practice_id, table.client_id.in_(clients)
        return statement.where(*own).group_by(table.client_id)

    async def explanation(self, row: StagedRow, client: str) -> list[str]:
        """Return a line for each ledger row of a client, by its record in the other system."""
        names = ExternalReference.row_id.in_([LedgerEntry.invoice_id, LedgerEntry.payment_id])
        refers = and_(names, *self.of_source("invoice", "payment"))
        statement = (
            select(
                LedgerEntry.posted_on,
                LedgerEntry.kind,
                LedgerEntry.amount_minor,
                ExternalReference.kind.label("record"),
                ExternalReference.external_id,
            )
            .outerjoin(ExternalReference, refers)
            .where(LedgerEntry.practice_id == self.practice_id, LedgerEntry.client_id == client)
            .order_by(LedgerEntry.posted_on, LedgerEntry.id)
            .limit(LISTED)
        )
        listed = [f"client {row['client_id']}:"]
        for entry in await self.conn.execute(statement):
            record = f"  {entry.record} {entry.external_id}" if entry.record else ""
            amount = self.formats.amount(entry.amount_minor)
            listed.append(f"  {entry.posted_on}  {entry.kind:10} {amount:>12}{record}")
        return listed
