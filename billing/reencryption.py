"""Encryption of stored fields with the newest key, in batches.

A batch is a transaction of its own, and skips values that the newest key encrypted. So an
interrupted run is continued by the next one, and the server serves meanwhile.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row, Select, Table, and_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.encryption import FieldKeys
from models.row import ENCRYPTED
from models.row import Row as StoredRow

BATCH = 500


@dataclass
class EncryptedCount:
    """The numbers of encrypted values: by the newest key, by an older key, and by an unknown
    one.
    """

    newest: int = 0
    older: int = 0
    unknown: int = 0


def encrypted_columns() -> Iterator[tuple[Table, Column[Any]]]:
    """Yield every column that holds encrypted text, with its table."""
    for table in StoredRow.metadata.sorted_tables:
        for column in table.columns:
            if column.info.get(ENCRYPTED):
                yield table, column


async def count_by_key(engine: AsyncEngine, keys: FieldKeys) -> EncryptedCount:
    """Count the encrypted values by the key that reads them."""
    count = EncryptedCount()
    for table, column in encrypted_columns():
        async for batch in batches(engine, table, column):
            for row in batch:
                if keys.is_newest(row.encrypted):
                    count.newest += 1
                elif keys.read(row.encrypted) is not None:
                    count.older += 1
                else:
                    count.unknown += 1
    return count


async def reencrypt(engine: AsyncEngine, keys: FieldKeys) -> AsyncGenerator[int]:
    """Encrypt all values of older keys with the newest one. Yield the number of each batch."""
    for table, column in encrypted_columns():
        async for batch in batches(engine, table, column):
            async with engine.begin() as conn:
                changed = await reencrypt_batch(conn, keys, table, column, batch)
            yield changed


async def reencrypt_batch(
    conn: AsyncConnection,
    keys: FieldKeys,
    table: Table,
    column: Column[Any],
    batch: Sequence[Row[Any]],
) -> int:
    """Encrypt the values of a batch that an older key encrypted. Return their number."""
    changed = 0
    for row in batch:
        text = None if keys.is_newest(row.encrypted) else keys.read(row.encrypted)
        if text is None:
            continue
        # Another process may have replaced the value in the meantime.
        mine = and_(*(key == row[index] for index, key in enumerate(table.primary_key)))
        same = update(table).where(mine, column == row.encrypted)
        result = await conn.execute(same.values({column: keys.encrypted(text)}))
        changed += result.rowcount
    return changed


async def batches(
    engine: AsyncEngine, table: Table, column: Column[Any]
) -> AsyncIterator[Sequence[Row[Any]]]:
    """Yield the primary keys and the encrypted values of a table, in the order of the keys."""
    keys = list(table.primary_key)
    last: tuple[Any, ...] | None = None
    while True:
        statement: Select[Any] = select(*keys, column.label("encrypted")).where(column.is_not(None))
        if last is not None:
            after = tuple_(*last, types=[key.type for key in keys])
            statement = statement.where(tuple_(*keys) > after)
        async with engine.connect() as conn:
            rows = (await conn.execute(statement.order_by(*keys).limit(BATCH))).all()
        if not rows:
            return
        yield rows
        last = tuple(rows[-1][: len(keys)])
