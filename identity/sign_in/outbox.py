"""The outbox: requests that wait for their mail.

Any serving process takes requests under leases. The queue is fair: the requests of a busy network
come after the first ones of other networks, and only some of a network's requests are worked on at
a time.
"""

import datetime as dt
import logging
from typing import Any

from sqlalchemy import Row, delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from identity.sign_in import rate_limits
from identity.sign_in.context import SignInContext
from models import SignInLink, SignInRequest, Token
from models.leases import Excluded, Lease, Queue

BACKOFFS_S = (5, 10, 20, 40, 80, 120)
KEPT = dt.timedelta(days=1)

log = logging.getLogger("portal.identity")
QUEUE = Queue(
    "sign-in request",
    SignInRequest,
    log,
    at_once=10,
    groups=("address_hash",),
    # An error's own text may contain the address.
    quiet=(Exception,),
)


async def claim_request(context: SignInContext, but: Excluded) -> Lease | None:
    """Lease the next request that is due."""
    due = SignInRequest.done_at.is_(None), SignInRequest.due_at <= context.now()
    order = SignInRequest.turn_at, SignInRequest.id
    return await QUEUE.claim(context.engine, but, *due, order=order)


async def schedule_retry(context: SignInContext, request: Row[Any]) -> None:
    """Schedule a retry of the mail."""
    wait_s = BACKOFFS_S[min(request.tries, len(BACKOFFS_S) - 1)]
    due_at = context.now() + dt.timedelta(seconds=wait_s)
    async with context.engine.begin() as conn:
        await update_request(
            conn, request.id, tries=request.tries + 1, due_at=due_at, leased_until=None
        )


async def complete_request(context: SignInContext, request: Row[Any]) -> None:
    """Complete a request, and delete the address."""
    async with context.engine.begin() as conn:
        await update_request(conn, request.id, done_at=context.now(), email=None)


async def update_request(conn: AsyncConnection, id_: str, **values: Any) -> None:
    await conn.execute(update(SignInRequest).where(SignInRequest.id == id_).values(values))


async def delete_old(context: SignInContext) -> int:
    """Remove rows older than a day, and the addresses of sign-ins that have ended.

    Return 0, since there is never more work to do.
    """
    now = context.now()
    before = now - KEPT
    over = Token.email.is_not(None), Token.expires_at < before
    statements = (
        delete(SignInRequest).where(SignInRequest.expires_at < before),
        delete(SignInLink).where(SignInLink.expires_at < before),
        update(Token).where(*over).values(email=None),
    )
    async with context.engine.begin() as conn:
        for statement in statements:
            await conn.execute(statement)
        await rate_limits.delete_empty(conn, now)
    return 0
