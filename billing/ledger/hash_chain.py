"""The hash chain of a client's books: every new row of the chained tables gets a link.

A row's hash is the SHA-256 of its canonical bytes. A link's hash is the SHA-256 of the hash of the
link before, the row's hash, and the link's own canonical bytes.

The canonical bytes of a row are JSON in UTF-8 without blanks: a list of the table's name and an
object of the columns, by name in alphabetical order. A column without a value is left out, so a
later column changes no hash. Ids, enums and texts are strings; dates are as 2026-03-02; times are
in UTC with microseconds, as 2026-03-02T12:00:00.000000+00:00; amounts are integers; binary content
is the SHA-256 of its bytes, in hexadecimal. So is a text that may be erased, in UTF-8: the row is
verified by the digest afterwards, and its amounts stay proven.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import (
    Allocation,
    ChainedTable,
    ChainLink,
    LedgerEntry,
    PrintedDocument,
    Receipt,
    Row,
)
from models.row import written

CHAINED: dict[type[Row], ChainedTable] = {
    LedgerEntry: ChainedTable.LEDGER_ENTRY,
    Allocation: ChainedTable.ALLOCATION,
    Receipt: ChainedTable.RECEIPT,
    PrintedDocument: ChainedTable.PRINTED_DOCUMENT,
}
# The columns with personal data, which an erasure replaces.
ERASABLE: dict[type[Row], str] = {LedgerEntry: "description", PrintedDocument: "content"}
# The hash before a client's first link.
FIRST = bytes(32)

Values = Mapping[str, Any]
# A row that is inserted, as its table and its columns.
NewRow = tuple[type[Row], Values]


def encode_value(value: Any) -> str:
    """Return the text of a value that JSON has no form for."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return sha256(value).hexdigest()
    raise TypeError(type(value))


def canonical_json(value: Any) -> bytes:
    options = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
    return orjson.dumps(value, default=encode_value, option=options)


def canonical_bytes(table: type[Row], values: Values, erased: bytes | None = None) -> bytes:
    """Return the canonical bytes of a row. `erased` is the digest of the value that was erased."""
    known = {name: values[name] for name in columns(table) if values.get(name) is not None}
    if (name := ERASABLE.get(table)) is not None:
        known[name] = (erased or value_digest(known[name])).hex()
    return canonical_json([table.__tablename__, known])


def value_digest(value: str | bytes) -> bytes:
    return sha256(value.encode() if isinstance(value, str) else value).digest()


@cache
def columns(table: type[Row]) -> Sequence[str]:
    return tuple(written(table))


def row_hash(table: type[Row], values: Values, erased: bytes | None = None) -> bytes:
    return sha256(canonical_bytes(table, values, erased)).digest()


def row_key(table: type[Row], values: Values) -> str:
    """Return the primary key of a row without its practice."""
    parts = (values[name] for name in key_columns(table))
    return "/".join(str(part).lower() if isinstance(part, bool) else part for part in parts)


@cache
def key_columns(table: type[Row]) -> Sequence[str]:
    names = (column.name for column in table.__table__.primary_key)
    return tuple(name for name in names if name != "practice_id")


def link_hash(previous: bytes, of_row: bytes, link: Values) -> bytes:
    """Return the hash of a link, whose values may include a hash already."""
    own = {name: value for name, value in link.items() if name != "hash"}
    return sha256(previous + of_row + canonical_bytes(ChainLink, own)).digest()


@dataclass
class Chain:
    """The end of a client's chain: the position and the hash of the last link."""

    practice_id: str
    client_id: str
    position: int = 0
    hash: bytes = FIRST

    def link(self, row: NewRow, at: dt.datetime) -> dict[str, Any]:
        """Return the link of a row, which is the last one from then on."""
        table, values = row
        self.position += 1
        link = {
            "practice_id": self.practice_id,
            "client_id": self.client_id,
            "position": self.position,
            "table_name": CHAINED[table],
            "row_key": row_key(table, values),
            "added_at": at,
        }
        self.hash = link_hash(self.hash, row_hash(table, values), link)
        return link | {"hash": self.hash}


async def append(
    conn: AsyncConnection,
    rows: Sequence[NewRow],
    now: dt.datetime,
    inserted: Sequence[NewRow] = (),
) -> None:
    """Insert rows of one client, and link them. The transaction has locked the client.

    `inserted` are rows that it has inserted already. They are linked after the others.
    """
    for table in dict.fromkeys(table for table, _ in rows):
        blank = dict.fromkeys(columns(table))
        await conn.execute(insert(table), [blank | dict(row) for of, row in rows if of is table])
    await add_links(conn, [*rows, *inserted], now)


async def add_links(conn: AsyncConnection, rows: Sequence[NewRow], now: dt.datetime) -> None:
    """Insert the links of rows of one client that this transaction has inserted, in their order."""
    if rows:
        _, first = rows[0]
        chain = await read_chain(conn, first["practice_id"], first["client_id"])
        await conn.execute(insert(ChainLink), [chain.link(row, now) for row in rows])


async def read_chain(conn: AsyncConnection, practice_id: str, client_id: str) -> Chain:
    last = (
        select(ChainLink.position, ChainLink.hash)
        .where(ChainLink.practice_id == practice_id, ChainLink.client_id == client_id)
        .order_by(ChainLink.position.desc())
        .limit(1)
    )
    return Chain(practice_id, client_id, *(await conn.execute(last)).first() or ())
