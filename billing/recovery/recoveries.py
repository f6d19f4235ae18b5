"""The rows of recoveries. While a practice's recovery is open, no payment begins there."""

import datetime as dt
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.recovery.identity import Identity, read_identity
from models import Recovery
from models.ids import new_id


async def open_recovery(conn: AsyncConnection, practice_id: str) -> Row[Any] | None:
    """Return the practice's recovery that has not ended."""
    is_open = Recovery.practice_id == practice_id, Recovery.ended_at.is_(None)
    return (await conn.execute(select(Recovery.__table__).where(*is_open))).first()


async def was_recovered(conn: AsyncConnection, practice_id: str, identity: Identity) -> bool:
    """Return whether a recovery of the practice from this restore has ended."""
    ended = select(Recovery.id).where(
        Recovery.practice_id == practice_id,
        Recovery.restored_from == identity.stored,
        Recovery.restored_to == identity.actual,
        Recovery.ended_at.is_not(None),
    )
    return (await conn.execute(ended)).first() is not None


async def open_anywhere(conn: AsyncConnection) -> list[str]:
    """Return the practices with a recovery that has not ended."""
    statement = select(Recovery.practice_id).where(Recovery.ended_at.is_(None))
    return list(await conn.scalars(statement.order_by(Recovery.practice_id)))


async def begin_recovery(
    conn: AsyncConnection, practice_id: str, identity: Identity, now: dt.datetime
) -> Row[Any]:
    """Return the practice's open recovery from this restore, or begin one.

    A recovery that came with the backup was of an earlier restore, and is over.
    """
    found = await open_recovery(conn, practice_id)
    restore = identity.stored, identity.actual
    if found is not None and (found.restored_from, found.restored_to) == restore:
        return found
    if found is not None:
        await end_recovery(conn, found, now)
    new = insert(Recovery).values(
        practice_id=practice_id,
        id=new_id(),
        restored_from=identity.stored,
        restored_to=identity.actual,
        began_at=now,
    )
    return (await conn.execute(new.returning(*Recovery.__table__.c))).one()


async def stop_payments(conn: AsyncConnection, practice_id: str, now: dt.datetime) -> None:
    """Begin the recovery of a practice, because Stripe has shown that it is needed."""
    if await open_recovery(conn, practice_id) is None:
        await begin_recovery(conn, practice_id, await read_identity(conn), now)


async def change_recovery(conn: AsyncConnection, recovery: Row[Any], **values: Any) -> None:
    mine = Recovery.practice_id == recovery.practice_id, Recovery.id == recovery.id
    await conn.execute(update(Recovery).where(*mine).values(values))


async def end_recovery(conn: AsyncConnection, recovery: Row[Any], now: dt.datetime) -> None:
    await change_recovery(conn, recovery, ended_at=now)
