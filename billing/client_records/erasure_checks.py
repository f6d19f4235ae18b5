"""The reasons against the erasure of a client."""

import datetime as dt
import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.client_ledger import ClientLedger, read_client_ledgers
from billing.entry.errors import EntryError
from billing.entry.practice_facts import read_practice_facts
from models import Client, LedgerEntry, Refund, RefundState, Session


class Obstacle(enum.StrEnum):
    """A reason against an erasure that the operator may overrule."""

    BALANCE = "balance"
    DISPUTE = "dispute"
    RETENTION = "retention"


class NotErasable(Exception):
    """Nothing was erased. The text gives the reason."""


@dataclass(frozen=True)
class Retention:
    """The years for which records are kept after a client's last entry, and the current day."""

    years: int
    today: dt.date

    def end(self, last: dt.date) -> dt.date:
        """Return the first day on which records with this last day may be erased."""
        year = last.year + self.years
        try:
            return last.replace(year=year)
        except ValueError:
            return dt.date(year, 3, 1)


async def check_erasable(
    conn: AsyncConnection,
    practice_id: str,
    clients: Sequence[str],
    despite: Collection[str],
    term: Retention,
) -> None:
    """Raise NotErasable for the first reason against it that is not overruled.

    The clients are one that goes on, and the records that are merged into it.
    """
    facts = await read_practice_facts(conn, practice_id)
    ledgers = await read_client_ledgers(conn, facts, clients)
    for ledger in ledgers.values():
        check_record(ledger)
        into = ledger.client["merged_into"]
        if into is not None and into not in clients:
            raise NotErasable(f"cli_{ledger.id} is merged into cli_{into}: erase that client.")
        for obstacle in obstacles(ledger):
            if obstacle not in despite:
                raise NotErasable(SENTENCES[obstacle].format(client=ledger.id))
    refunds = (
        select(func.count())
        .select_from(Refund)
        .where(
            Refund.practice_id == practice_id,
            Refund.client_id.in_(clients),
            Refund.state.in_([RefundState.REQUESTED, RefundState.PENDING]),
        )
    )
    if await conn.scalar(refunds):
        raise NotErasable("A refund is under way. Try again when it has ended.")
    last = await last_day(conn, practice_id, clients)
    if last is not None and term.end(last) > term.today and Obstacle.RETENTION not in despite:
        raise NotErasable(
            f"The last entry is of {last}, and records are kept for {term.years} years:"
            f" until {term.end(last)}. --despite-retention overrules that."
        )


SENTENCES = {
    Obstacle.BALANCE: "cli_{client} has an open balance: settle it, or write it off."
    " --despite-balance overrules that.",
    Obstacle.DISPUTE: "A payment of cli_{client} is disputed, and the bank may ask for documents."
    " --despite-dispute overrules that.",
}


def check_record(ledger: ClientLedger) -> None:
    if ledger.client["erased_at"] is not None:
        raise NotErasable(f"cli_{ledger.id} is erased already.")
    try:
        ledger.refuse_while_paying()
    except EntryError:
        raise NotErasable(f"cli_{ledger.id} is paying now: try again in some minutes.") from None


def obstacles(ledger: ClientLedger) -> list[Obstacle]:
    found = []
    if ledger.open_invoices or ledger.unallocated:
        found.append(Obstacle.BALANCE)
    if ledger.open_disputes:
        found.append(Obstacle.DISPUTE)
    return found


async def last_day(
    conn: AsyncConnection, practice_id: str, clients: Sequence[str]
) -> dt.date | None:
    """Return the last day of the clients' entries, sessions and care."""
    columns: Sequence[tuple[Any, Any]] = (
        (LedgerEntry, func.max(LedgerEntry.posted_on)),
        (Session, func.max(Session.date)),
    )
    days = [
        await conn.scalar(
            select(latest).where(model.practice_id == practice_id, model.client_id.in_(clients))
        )
        for model, latest in columns
    ]
    left = select(func.max(Client.archived_on)).where(
        Client.practice_id == practice_id, Client.id.in_(clients)
    )
    known = [day for day in (*days, await conn.scalar(left)) if day is not None]
    return max(known, default=None)
