"""The verification of a practice's books: hash chains, daily roots and the rules of the ledger.

The clients are read a few at a time, each few in a snapshot of their own. So the memory that is
needed does not grow with the practice, and writers wait for no more than that on SQLite.
"""

from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.ledger.chain_check import Difference, Name, chain_differences, subject
from billing.ledger.chain_roots import Head, RootHash
from billing.ledger.erased_values import LEFT
from billing.ledger.hash_chain import CHAINED, ERASABLE, FIRST, row_hash, row_key
from billing.ledger.invariants import ClientBooks, broken_rules
from models import (
    ChainLink,
    ChainRoot,
    Client,
    Dispute,
    ErasedValue,
    Payment,
    Refund,
    Row,
    Statement,
)
from models.append_only import is_append_only, weak_protections

# The number of clients that are read together.
AT_ONCE = 100
# The number of rows that a driver holds in memory. A printed document has its content.
ROWS_HELD = 50
ALSO_READ: Sequence[type[Row]] = (Statement, Payment, Refund, Dispute)


@dataclass(frozen=True)
class Finding:
    """A difference in a practice's books. Without a client it is of the practice."""

    client_id: str | None
    difference: Difference


@dataclass
class Counts:
    """The numbers of what was verified."""

    clients: int = 0
    rows: int = 0
    roots: int = 0


@dataclass
class Verification:
    """The verification of one practice."""

    engine: AsyncEngine
    practice_id: str
    counts: Counts = field(default_factory=Counts)

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield all differences: those of each client, and then those of the daily roots."""
        roots = await self.stored_roots()
        self.counts.roots = len(roots.days)
        after = ""
        while clients := await self.read(after):
            for client in clients:
                after = client.client_id
                self.counts.clients += 1
                self.counts.rows += len(client.hashes)
                roots.add(client.links)
                for difference in client.differences():
                    yield Finding(after, difference)
        for difference in roots.differences():
            yield Finding(None, difference)

    async def read(self, after: str) -> Sequence["ClientRows"]:
        """Return the next clients by id, with their rows as one snapshot has them."""
        page = select(Client.id, Client.erased_at).where(Client.practice_id == self.practice_id)
        if after:
            page = page.where(Client.id > after)
        async with snapshot(self.engine) as conn:
            clients = (await conn.execute(page.order_by(Client.id).limit(AT_ONCE))).all()
            found = {row.id: ClientRows(row.id, row.erased_at is not None) for row in clients}
            if not clients:
                return []
            ids = [row.id for row in clients]

            def of_these(table: type[Row], *order: Any) -> Select[Any]:
                columns: Any = table.__table__.c
                own = columns.practice_id == self.practice_id
                these = columns.client_id.between(ids[0], ids[-1])
                ordered = columns.client_id, *order
                return select(table.__table__).where(own, these).order_by(*ordered)

            for link in await conn.execute(of_these(ChainLink, ChainLink.position)):
                found[link.client_id].links.append(dict(link._mapping))
            # The digests of erased values come before the rows that they are of.
            tables: Sequence[type[Row]] = (ErasedValue, *CHAINED, *ALSO_READ)
            for table in tables:
                statement = of_these(table).execution_options(yield_per=ROWS_HELD)
                async for row in await conn.stream(statement):
                    found[row.client_id].add(table, row)
        return [*found.values()]

    async def stored_roots(self) -> "RootCheck":
        async with self.engine.connect() as conn:
            statement = select(ChainRoot.day, ChainRoot.hash).where(
                ChainRoot.practice_id == self.practice_id
            )
            rows = (await conn.execute(statement.order_by(ChainRoot.day))).all()
        return RootCheck(self.practice_id, [row.day for row in rows], [row.hash for row in rows])


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a transaction whose statements all see the same rows."""
    async with engine.connect() as conn:
        if engine.dialect.name == "postgresql":
            await conn.execution_options(isolation_level="REPEATABLE READ")
        yield conn


@dataclass
class ClientRows:
    """The rows of one client: links, the hashes of the chained rows, and the rows of the rules."""

    client_id: str
    is_erased: bool = False
    links: list[dict[str, Any]] = field(default_factory=list)
    hashes: dict[Name, bytes] = field(default_factory=dict)
    erased: dict[Name, bytes] = field(default_factory=dict)
    not_erased: list[Name] = field(default_factory=list)
    books: ClientBooks = field(default_factory=ClientBooks)

    def differences(self) -> Iterator[Difference]:
        yield from chain_differences(self.links, self.hashes)
        yield from self.wrong_erasures()
        yield from broken_rules(self.books)

    def wrong_erasures(self) -> Iterator[Difference]:
        """An erased value is of a client who was erased, and nothing else is in its place."""
        if self.erased and not self.is_erased:
            yield Difference("erased_value", "is of a client who was not erased")
        for name in self.not_erased:
            yield Difference(subject(name), "has a value, although it is said to be erased")

    def add(self, table: type[Row], row: Any) -> None:
        if table is ErasedValue:
            self.erased[row.table_name, row.row_key] = row.digest
            return
        if table in CHAINED:
            values = row._mapping
            name = CHAINED[table], row_key(table, values)
            digest = self.erased.get(name)
            self.hashes[name] = row_hash(table, values, digest)
            if digest is not None and values[ERASABLE[table]] != LEFT[table]:
                self.not_erased.append(name)
        kept = getattr(self.books, table.__tablename__, None)
        if kept is not None and not (table is Payment and row.stripe_id is None):
            kept.append(row)


class RootCheck:
    """The stored roots of a practice, and the same roots computed from the links."""

    def __init__(self, practice_id: str, days: Sequence[Any], hashes: Sequence[bytes]) -> None:
        self.days, self.hashes = days, hashes
        before = [FIRST, *hashes]
        self.computed = [
            RootHash(previous, practice_id, day)
            for previous, day in zip(before, days, strict=False)
        ]

    def add(self, links: Sequence[dict[str, Any]]) -> None:
        """Add the links of a client. The clients come in the order of their ids."""
        last: dict[int, Head] = {}
        for link in links:
            index = bisect_left(self.days, link["added_at"].date())
            if index < len(self.days):
                last[index] = Head(link["client_id"], link["position"], link["hash"])
        for index, head in last.items():
            self.computed[index].add(head)

    def differences(self) -> Iterator[Difference]:
        for day, stored, computed in zip(self.days, self.hashes, self.computed, strict=True):
            if computed.digest() != stored:
                reason = "differs from the links that were added by its end"
                yield Difference(f"root of {day}", reason)


async def unprotected_tables(engine: AsyncEngine) -> list[str]:
    """Return the append-only tables whose triggers are missing, changed or disabled."""
    names = [table.name for table in Row.metadata.sorted_tables if is_append_only(table)]
    async with engine.connect() as conn:
        return await conn.run_sync(weak_protections, names)
