"""The outbox: requests for a link that wait for their mail, and which of them get one.

Any of the serving processes takes some, theirs for the length of a lease.
"""

import datetime as dt
import logging
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from identity.door import Door
from models import SignInFailure, SignInLink, SignInRequest
from models.leases import Excluded, Queue

BACKOFFS_S = (5, 10, 20, 40, 80, 120)
# How many mails an e-mail address gets, and for how many a network address may ask.
WITHIN = dt.timedelta(hours=1)
TO_ADDRESS, FROM_ADDRESS = 3, 20
KEPT = dt.timedelta(days=1)
# PostgreSQL's name of the lock that whoever takes requests holds: the word "post" in hexadecimal.
TAKING = 0x706F7374

log = logging.getLogger("portal.identity")
# An error's own text may have the address in it.
QUEUE = Queue("sign-in request", SignInRequest, log, at_once=10, quiet=(Exception,))


async def claim(door: Door, but: Excluded) -> Row[Any] | None:
    """Take the next request that is to be answered now, under a lease."""
    now = door.now()
    due = SignInRequest.done_at.is_(None), SignInRequest.due_at <= now
    order = SignInRequest.due_at, SignInRequest.id
    async with door.engine.begin() as conn:
        if not await is_alone(conn):
            return None
        while (request := await QUEUE.first(conn, but, *due, order=order)) is not None:
            if await is_taken(conn, request, now):
                return await QUEUE.lease(conn, request.id)
    return None


async def is_alone(conn: AsyncConnection) -> bool:
    """Whether nobody else takes requests until the transaction ends.

    Two would each find room for one more. Who finds somebody else at it leaves the requests to
    them. On SQLite nobody else writes anyway.
    """
    if conn.dialect.name != "postgresql":
        return True
    return bool(await conn.scalar(select(func.pg_try_advisory_xact_lock(TAKING))))


async def is_taken(rows: AsyncConnection, request: Row[Any], now: dt.datetime) -> bool:
    """Whether the request is to be answered; one of too many is done with."""
    if request.expires_at <= now:
        log.warning("sign-in request %s: no mail could be sent in time", request.id)
        await changed(rows, request.id, done_at=now, email=None)
        return False
    if request.is_allowed or await is_room(rows, request):
        await changed(rows, request.id, is_allowed=True)
        return True
    log.info("sign-in request %s: too many in an hour", request.id)
    await changed(rows, request.id, is_allowed=False, done_at=now, email=None)
    return False


async def is_room(rows: AsyncConnection, request: Row[Any]) -> bool:
    """Whether fewer were allowed in the hour before, to the address and from the network's."""
    limits = (
        (SignInRequest.email_hash, request.email_hash, TO_ADDRESS),
        (SignInRequest.address_hash, request.address_hash, FROM_ADDRESS),
    )
    for column, value, most in limits:
        of_late = select(func.count()).where(
            column == value,
            SignInRequest.is_allowed.is_(True),
            SignInRequest.created_at > request.created_at - WITHIN,
        )
        if value is not None and (await rows.scalar(of_late) or 0) >= most:
            return False
    return True


async def put_off(door: Door, request: Row[Any]) -> None:
    """Another try later, with another secret."""
    wait_s = BACKOFFS_S[min(request.tries, len(BACKOFFS_S) - 1)]
    due_at = door.now() + dt.timedelta(seconds=wait_s)
    async with door.engine.begin() as rows:
        await changed(rows, request.id, tries=request.tries + 1, due_at=due_at, leased_until=None)


async def close(door: Door, request: Row[Any]) -> None:
    """What was to be done is done; the address is not needed any more."""
    async with door.engine.begin() as rows:
        await changed(rows, request.id, done_at=door.now(), email=None)


async def changed(rows: AsyncConnection, id_: str, **values: Any) -> None:
    await rows.execute(update(SignInRequest).where(SignInRequest.id == id_).values(values))


async def sweep(door: Door) -> int:
    """Removes what is older than a day; how much that was isn't of interest."""
    before = door.now() - KEPT
    old = (
        delete(SignInRequest).where(SignInRequest.created_at < before),
        delete(SignInLink).where(SignInLink.expires_at < before),
        delete(SignInFailure).where(SignInFailure.failed_at < before),
    )
    async with door.engine.begin() as rows:
        for statement in old:
            await rows.execute(statement)
    return 0
