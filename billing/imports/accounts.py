"""The accounts of clients that were entered before: locked, and read a few clients at a time."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.client_ledger import ClientLedger, read_client_ledgers
from billing.entry.practice_facts import PracticeFacts
from billing.ledger.hash_chain import Chain
from models import (
    ACTIVE_STATES,
    ChainLink,
    Client,
    DocumentKind,
    PrintedDocument,
    Receipt,
    Statement,
)


@dataclass(frozen=True)
class ClientAccount:
    """A client's row, and the ledger and the chain if a record of the client is new.

    `first_day` is the first day that no statement of the client has summed up.
    """

    row_id: str
    ledger: ClientLedger | None = None
    chain: Chain | None = None
    first_day: dt.date = dt.date.min
    is_new: bool = False
    # The receipts by the ids of their payments, and the documents that were given out.
    receipts: Mapping[str, str] = field(default_factory=dict)
    printed: Collection[tuple[DocumentKind, str]] = ()


@dataclass
class Accounts:
    """The accounts of a few clients by their rows. `paying` has the clients to put off."""

    ledgers: dict[str, ClientLedger] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)
    first_days: dict[str, dt.date] = field(default_factory=dict)
    receipts: Mapping[str, str] = field(default_factory=dict)
    printed: Collection[tuple[DocumentKind, str]] = ()

    @classmethod
    async def read(
        cls,
        conn: AsyncConnection,
        practice: PracticeFacts,
        clients: Sequence[str],
        *,
        with_documents: bool,
    ) -> "Accounts":
        """Lock and read the accounts of clients. Payments of these clients wait from now on.

        Receipts and the documents that were given out are read if documents are imported.
        """
        if not clients:
            return cls()
        these = Client.practice_id == practice.id, Client.id.in_(clients)
        await conn.execute(select(Client.id).where(*these).order_by(Client.id).with_for_update())
        accounts = cls(
            await read_client_ledgers(conn, practice, clients),
            await read_chains(conn, practice.id, clients),
            await read_first_days(conn, practice.id, clients),
        )
        if with_documents:
            accounts.receipts = await read_receipts(conn, practice.id, clients)
            accounts.printed = await read_printed(conn, practice.id, clients)
        return accounts

    def of(self, row_id: str) -> ClientAccount:
        first_day = self.first_days.get(row_id, dt.date.min)
        return ClientAccount(
            row_id,
            self.ledgers.get(row_id),
            self.chains.get(row_id),
            first_day,
            receipts=self.receipts,
            printed=self.printed,
        )

    @property
    def paying(self) -> set[str]:
        """Return the clients with a payment under way."""
        return {
            row_id
            for row_id, ledger in self.ledgers.items()
            if any(payment["state"] in ACTIVE_STATES for payment in ledger.payments.values())
        }


async def read_chains(
    conn: AsyncConnection, practice_id: str, clients: Sequence[str]
) -> dict[str, Chain]:
    """Return the end of each client's chain."""
    chains = {row_id: Chain(practice_id, row_id) for row_id in clients}
    own = ChainLink.practice_id == practice_id, ChainLink.client_id.in_(clients)
    last = select(ChainLink.client_id, func.max(ChainLink.position).label("position"))
    ends = last.where(*own).group_by(ChainLink.client_id).subquery()
    same = and_(ChainLink.client_id == ends.c.client_id, ChainLink.position == ends.c.position)
    statement = select(ChainLink.client_id, ChainLink.position, ChainLink.hash)
    for row in await conn.execute(statement.join(ends, same).where(*own)):
        chains[row.client_id] = Chain(practice_id, row.client_id, row.position, row.hash)
    return chains


async def read_first_days(
    conn: AsyncConnection, practice_id: str, clients: Sequence[str]
) -> dict[str, dt.date]:
    """Return the day after the last statement of each client that has one."""
    ends = select(Statement.client_id, func.max(Statement.period_end))
    own = Statement.practice_id == practice_id, Statement.client_id.in_(clients)
    found = await conn.execute(ends.where(*own).group_by(Statement.client_id))
    return {client: last + dt.timedelta(1) for client, last in found}


async def read_receipts(
    conn: AsyncConnection, practice_id: str, clients: Sequence[str]
) -> dict[str, str]:
    """Return the clients' receipts by the ids of their payments."""
    own = Receipt.practice_id == practice_id, Receipt.client_id.in_(clients)
    found = await conn.execute(select(Receipt.payment_id, Receipt.id).where(*own))
    return {row.payment_id: row.id for row in found}


async def read_printed(
    conn: AsyncConnection, practice_id: str, clients: Sequence[str]
) -> set[tuple[DocumentKind, str]]:
    """Return the kinds and ids of the clients' documents that were given out."""
    keys = select(PrintedDocument.kind, PrintedDocument.document_id)
    own = PrintedDocument.practice_id == practice_id, PrintedDocument.client_id.in_(clients)
    found = await conn.execute(keys.where(*own, ~PrintedDocument.is_void))
    return {(row.kind, row.document_id) for row in found}
