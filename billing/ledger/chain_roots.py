"""The daily roots of a practice: one hash over all links of its clients' chains.

A root's hash is the SHA-256 of the hash of the root before (32 bytes), of its practice and day as
canonical JSON, and of a line for each client with links since the root before, in the order of the
clients' ids: the client's id, the last link's position, and that link's hash in hexadecimal, as a
JSON list. So each root depends on every link that was added by the end of its day, in UTC.

Whoever rewrites a chain as a whole has to rewrite the roots too. A root that was sent out in time
shows that.
"""

import datetime as dt
import hashlib
import logging
from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.ledger.hash_chain import FIRST, canonical_json
from billing.payments.context import PaymentContext
from models import ChainLink, ChainRoot, Practice
from models.database import DatabaseUnavailable, TransientError
from models.lasting_errors import LastingErrors
from models.leases import first_to_raise
from models.upsert import insert_into

# A root is made so long after its day. By then every transaction of that day has ended.
MARGIN = dt.timedelta(hours=1)
# The number of links that are read at a time.
PAGE = 5_000

log = logging.getLogger("portal.payments")
# The practices whose root failed and was not made since.
FAILING = LastingErrors()


class Head(NamedTuple):
    """The last link of a client in a period."""

    client_id: str
    position: int
    hash: bytes


class RootHash:
    """The hash of a root, to which the heads of clients are added in the order of their ids."""

    def __init__(self, previous: bytes, practice_id: str, day: dt.date) -> None:
        self.sum = hashlib.sha256(previous + canonical_json([practice_id, day]))

    def add(self, head: Head) -> None:
        self.sum.update(canonical_json([head.client_id, head.position, head.hash.hex()]))

    def digest(self) -> bytes:
        return self.sum.digest()


async def make_due_roots(context: PaymentContext) -> int:
    """Make the root of the last day for each practice that has none. Return their number.

    A failure of one practice doesn't stop the others. Only an unreachable database does.
    """
    now = context.now()
    day = (now - MARGIN).astimezone(dt.UTC).date() - dt.timedelta(days=1)
    made = select(ChainRoot.day).where(ChainRoot.practice_id == Practice.id, ChainRoot.day >= day)
    async with context.engine.connect() as conn:
        practices = (await conn.scalars(select(Practice.id).where(~made.exists()))).all()
    failed = list[Exception]()
    for practice_id in practices:
        try:
            await make_root(context.engine, practice_id, day, now)
            FAILING.end(practice_id)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            log_failure(practice_id, day, error)
            failed.append(error)
    # The task is repeated soon after a transient error; the others are left to its next run.
    if failed and isinstance(first := first_to_raise(failed), TransientError):
        raise first
    return len(practices) - len(failed)


def log_failure(practice_id: str, day: dt.date, error: Exception) -> None:
    """Log the failure of a practice's root once, until a root of the practice is made."""
    is_new = FAILING.is_new(practice_id)
    log.log(
        logging.WARNING if is_new else logging.DEBUG,
        "practice %s has no root of %s: %s; it is tried again",
        practice_id,
        day,
        type(error).__name__,
        exc_info=error if is_new and not isinstance(error, TransientError) else None,
    )


async def make_root(engine: AsyncEngine, practice_id: str, day: dt.date, now: dt.datetime) -> None:
    """Make a practice's root of a day, unless another process has made it."""
    async with engine.connect() as conn:
        last = (
            select(ChainRoot.day, ChainRoot.hash)
            .where(ChainRoot.practice_id == practice_id)
            .order_by(ChainRoot.day.desc())
        )
        before = (await conn.execute(last.limit(1))).first()
    if before is not None and before.day >= day:
        return
    root = RootHash(before.hash if before else FIRST, practice_id, day)
    async for head in heads(engine, practice_id, before.day if before else None, day):
        root.add(head)
    values = {"practice_id": practice_id, "day": day, "hash": root.digest(), "made_at": now}
    async with engine.begin() as conn:
        if (await conn.execute(select(ChainRoot.day).where(*of_day(practice_id, day)))).first():
            return
        written = insert_into(conn, ChainRoot).values(values)
        await conn.execute(written.on_conflict_do_nothing())


def of_day(practice_id: str, day: dt.date) -> tuple[ColumnElement[bool], ...]:
    return ChainRoot.practice_id == practice_id, ChainRoot.day == day


async def heads(
    engine: AsyncEngine, practice_id: str, after: dt.date | None, day: dt.date
) -> AsyncIterator[Head]:
    """Yield the last link of each client that has any in a period, by the clients' ids.

    The links are read by pages, each in a transaction of its own.
    """
    period = [ChainLink.added_at < end_of(day)]
    if after is not None:
        period.append(ChainLink.added_at >= end_of(after))
    key = tuple_(ChainLink.client_id, ChainLink.position)
    found: Head | None = None
    while True:
        page = select(ChainLink.client_id, ChainLink.position, ChainLink.hash).where(
            ChainLink.practice_id == practice_id, *period
        )
        if found is not None:
            page = page.where(key > (found.client_id, found.position))
        async with engine.connect() as conn:
            order = ChainLink.client_id, ChainLink.position
            rows = (await conn.execute(page.order_by(*order).limit(PAGE))).all()
        for row in rows:
            if found is not None and found.client_id != row.client_id:
                yield found
            found = Head(*row)
        if len(rows) < PAGE:
            break
    if found is not None:
        yield found


def end_of(day: dt.date) -> dt.datetime:
    """Return the moment at which a day ends in UTC."""
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)
