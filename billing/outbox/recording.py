"""The recording of a version's events, in the transaction that takes the version.

Events are derived from the rows that carry the version, so that no writer has to announce anything.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.outbox.row_states import ROW_STATES, RowStates
from models import OutboxEvent
from models.bulk_insert import insert_arrays
from models.leases import now

# The rows of a version that are read at a time, and the events that are written at a time.
ROWS_AT_ONCE = 2_000
# From this number on, events are written in bulk.
MANY = 100


async def record_events(
    conn: AsyncConnection, practice_id: str, version: int, tables: Collection[Any]
) -> None:
    """Write the events of all rows of these tables that carry a version."""
    position = 0
    for states in ROW_STATES:
        if states.table not in tables:
            continue
        async for rows in changed_rows(conn, states, practice_id, version):
            events = []
            for row in rows:
                id_, before, at, *facts = tuple(row)
                after = states.state_of(*facts)
                for kind in states.events(before, after):
                    position += 1
                    events.append(
                        {
                            "practice_id": practice_id,
                            "version": version,
                            "position": position,
                            "kind": kind,
                            "row_id": id_,
                            "row_state": after,
                            "occurred_at": at,
                        }
                    )
            await write_events(conn, events)


async def write_events(conn: AsyncConnection, events: list[dict[str, Any]]) -> None:
    if len(events) < MANY:
        await conn.execute(insert(OutboxEvent), events)
    else:
        await insert_arrays(conn, OutboxEvent, events)


async def changed_rows(
    conn: AsyncConnection, states: RowStates, practice_id: str, version: int
) -> AsyncIterator[Sequence[Row[Any]]]:
    """Yield the rows that carry a version, a part at a time, with their former states."""
    statement = read_states(states, practice_id, version, now(conn))
    found = await conn.stream(statement, execution_options={"yield_per": ROWS_AT_ONCE})
    async for rows in found.partitions():
        yield rows


def read_states(
    states: RowStates, practice_id: str, version: int, at: ColumnElement[Any]
) -> Select[*tuple[Any, ...]]:
    """Select the rows with a version: their ids, their last events' states, and their facts."""
    table = states.table
    last = (
        select(OutboxEvent.row_state)
        .where(OutboxEvent.practice_id == practice_id, OutboxEvent.row_id == table.id)
        .order_by(OutboxEvent.version.desc())
        .limit(1)
        .correlate(table.__table__)
        .scalar_subquery()
    )
    return (
        select(table.id, last, at, *states.columns(practice_id))
        .where(table.practice_id == practice_id, table.version == version)
        .order_by(table.id)
    )
