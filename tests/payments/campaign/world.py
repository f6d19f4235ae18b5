"""Rows of a campaign: practices, clients, their invoices and tokens, written before it begins."""

import asyncio
import datetime as dt
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.ledger.hash_chain import CHAINED, append
from billing.ledger.locks import lock_client
from identity.token_keys import hashed
from identity.tokens import PERSONAL_SCOPES, Subject, new_secret
from models import (
    Client,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    Practice,
    Row,
    Token,
)
from models.ids import new_id
from tests.support.portal import KEY
from tests.support.portal import practice as practice_row

ACCOUNTS = ("acct_campaignfirst", "acct_campaignsecond")
TOKENS_LAST = dt.timedelta(days=60)
# Seconds to wait before each try of a write, in case the database has crashed.
PAUSES_S = (0.1, 0.3, 0.5, 1.0, 2.0, 4.0, 8.0)
AMOUNTS = (900, 2_500, 10_000, 14_000)


@dataclass(frozen=True)
class House:
    """A practice, its Stripe account, and its letterhead."""

    practice_id: str
    account: str
    letterhead_id: str


@dataclass(frozen=True)
class Debt:
    """An invoice. `since`: the number of the newest object at Stripe when it was shared."""

    invoice_id: str
    amount: int
    since: int


@dataclass
class Somebody:
    """A client of a practice."""

    index: int
    client_id: str
    bearer: str
    house: House
    random: random.Random
    debts: list[Debt] = field(default_factory=list)
    credit: int = 0

    @property
    def address(self) -> str:
        """Return a network address of the client's own, since declines are counted by address."""
        return f"10.{self.index >> 16 & 255}.{self.index >> 8 & 255}.{self.index & 255}"

    @property
    def account(self) -> str:
        return self.house.account


class World:
    """The portal's database, as a practice's own software writes to it."""

    def __init__(self, engine: AsyncEngine, seed: str) -> None:
        self.engine, self.seed = engine, seed
        self.serials = itertools.count(1)

    async def open(self) -> list[House]:
        houses = [House(new_id(), account, new_id()) for account in ACCOUNTS]
        for house in houses:
            facts = {"stripe_account": house.account, "clients_remove_cards": True}
            await self.insert(Practice, practice_row(house.practice_id) | facts)
            own = {"practice_id": house.practice_id, "id": house.letterhead_id}
            await self.insert(Letterhead, own | {"name": "Harbor"})
        return houses

    async def clients(self, houses: list[House], indexes: Sequence[int]) -> list[Somebody]:
        """Write clients with an invoice each."""
        made, rows = [], Rows()
        for index in indexes:
            chance = random.Random(f"{self.seed}:{index}")
            house = houses[index % len(houses)]
            somebody = Somebody(index, new_id(), new_secret(), house, chance)
            rows.add(Client, client_row(somebody))
            rows.add(Token, token_row(somebody))
            for _ in range(chance.choice((1, 1, 2, 3))):
                self.invoice(rows, somebody, chance.choice(AMOUNTS), since=0)
            if chance.random() < 0.2:
                somebody.credit = 700
                rows.add(LedgerEntry, entry(somebody, EntryKind.CREDIT, -700, reference="credit"))
            made.append(somebody)
        await self.write(rows)
        return made

    async def bill(self, somebody: Somebody, amount: int, since: int) -> None:
        """Write one more invoice."""
        rows = Rows()
        self.invoice(rows, somebody, amount, since)
        await self.write(rows)

    def invoice(self, rows: "Rows", somebody: Somebody, amount: int, since: int) -> None:
        id_, serial = new_id(), next(self.serials)
        own = {"practice_id": somebody.house.practice_id}
        facts = {
            "id": id_,
            "client_id": somebody.client_id,
            "letterhead_id": somebody.house.letterhead_id,
            "client_name": "Ana Prieto",
            "number": f"INV-2026-{serial:06}",
            "serial": serial,
            "issued_on": now().date(),
            "total_minor": amount,
            "is_void": False,
            "shared_at": now(),
        }
        line = {
            "invoice_id": id_,
            "position": 1,
            "description": "Session",
            "quantity_hundredths": 100,
            "unit_price_minor": amount,
            "amount_minor": amount,
            "is_void": False,
        }
        rows.add(Invoice, own | facts)
        rows.add(InvoiceLine, own | line)
        charged = entry(somebody, EntryKind.CHARGE, amount, invoice_id=id_, reference="line 1")
        rows.add(LedgerEntry, charged)
        somebody.debts.append(Debt(id_, amount, since))

    async def insert(self, model: type[Row], *rows: Mapping[str, Any]) -> None:
        await self.write(Rows({model: [dict(row) for row in rows]}))

    async def write(self, rows: "Rows") -> None:
        """Insert rows in one transaction, and repeat it after a crash of the database."""
        for pause_s in (0.0, *PAUSES_S):
            await asyncio.sleep(pause_s)
            try:
                async with self.engine.begin() as conn:
                    for (model, _), values in rows.alike():
                        if model in CHAINED:
                            await self.append(conn, model, values)
                        else:
                            await conn.execute(insert(model), values)
            except IntegrityError:
                if pause_s:
                    return  # It was committed, and only the response was lost.
                raise
            except (DBAPIError, OSError):
                continue
            return
        raise AssertionError("the database stays unavailable")

    async def append(
        self, conn: AsyncConnection, model: type[Row], rows: Sequence[dict[str, Any]]
    ) -> None:
        """Insert rows with their links in their clients' chains."""
        for row in rows:
            await lock_client(conn, row["practice_id"], row["client_id"])
            await append(conn, [(model, row)], now())


class Rows(dict[type[Row], list[dict[str, Any]]]):
    """Rows by table, in the order in which tables refer to each other."""

    def add(self, model: type[Row], row: dict[str, Any]) -> None:
        self.setdefault(model, []).append(row)

    def alike(self) -> Iterator[tuple[tuple[type[Row], tuple[str, ...]], list[dict[str, Any]]]]:
        """Yield rows with the same columns together, for one statement each."""
        for model, rows in self.items():
            by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for row in rows:
                by_columns.setdefault(tuple(row), []).append(row)
            for columns, same in by_columns.items():
                yield (model, columns), same


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def client_row(somebody: Somebody) -> dict[str, Any]:
    own = {"practice_id": somebody.house.practice_id, "id": somebody.client_id}
    return own | {"name": f"Ana Prieto {somebody.index}", "created_at": now()}


def token_row(somebody: Somebody) -> dict[str, Any]:
    subject = Subject(somebody.house.practice_id, client_id=somebody.client_id)
    return {
        "practice_id": somebody.house.practice_id,
        "id": new_id(),
        "kind": subject.kind,
        "client_id": somebody.client_id,
        "name": "campaign",
        "hash": hashed(somebody.bearer, KEY),
        "scopes": sorted(PERSONAL_SCOPES),
        "created_at": now(),
        "expires_at": now() + TOKENS_LAST,
        "is_sign_in": False,
    }


def entry(somebody: Somebody, kind: EntryKind, amount: int, **facts: Any) -> dict[str, Any]:
    return {
        "practice_id": somebody.house.practice_id,
        "id": new_id(),
        "client_id": somebody.client_id,
        "date": now().date(),
        "posted_on": now().date(),
        "kind": kind,
        "description": kind.value.title(),
        "amount_minor": amount,
        "created_at": now(),
        **facts,
    }
