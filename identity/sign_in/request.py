"""Requests for a sign-in mail: the same work and the same response for every address."""

import datetime as dt
import logging
from dataclasses import dataclass

from sqlalchemy import insert

from identity.email_address import LONGEST
from identity.sign_in import rate_limits
from identity.sign_in.context import SignInContext
from identity.sign_in.rate_limits import Limit, counted_hash
from identity.tokens import random_text
from models import SignInRequest
from models.ids import new_id
from models.names import mailbox

log = logging.getLogger("portal.identity")
# The mails to one address at once. One more is allowed each time a request expires, so a page that
# is refused a mail can use a link that lasts at least as long as its request.
MAILS = 4
# Requests of one network are queued among those of others, one second apart.
NETWORK = Limit("network", every=dt.timedelta(seconds=1))


@dataclass(frozen=True)
class Requested:
    """The page's nonce to sign in with, and its expiry.

    With `next_mail_at` no mail was sent, because several were sent recently; it is the time from
    which one will be.
    """

    nonce: str
    expires_at: dt.datetime
    next_mail_at: dt.datetime | None = None


def mails(context: SignInContext) -> Limit:
    """Return the limit of mails to an address."""
    return Limit(rate_limits.MAILS, every=context.lasts, burst=MAILS)


async def request_mail(
    context: SignInContext, email: str, address_hash: str | None, now: dt.datetime
) -> Requested:
    """Record the request, and count it.

    The address isn't looked up here. So the response does not reveal whether it is known, not even
    by the time it takes.
    """
    nonce, expires_at, next_mail_at = random_text(), now + context.lasts, None
    typed = email.strip()
    limit = mails(context)
    async with context.engine.begin() as conn:
        email_hash = await counted_hash(conn, context.keys.hashes(mailbox(typed)), now)
        turn_at = await NETWORK.turn(conn, address_hash or "", now)
        spent = await limit.spent(conn, email_hash, now)
        if spent is None:
            next_mail_at = await limit.next_at(conn, email_hash)
        elif limit.is_last(spent, now):
            log.warning("too many mails to the address %s: none is sent now", email_hash[:12])
        is_mailed = next_mail_at is None
        await conn.execute(
            insert(SignInRequest).values(
                id=new_id(),
                email=typed if is_mailed and len(typed) <= LONGEST else None,
                email_hash=email_hash,
                address_hash=address_hash,
                nonce_hash=context.hashed(nonce),
                created_at=now,
                expires_at=expires_at,
                is_mailed=is_mailed,
                code_tries=0,
                turn_at=turn_at,
                tries=0,
                due_at=now,
                done_at=None if is_mailed else now,
            )
        )
    if is_mailed:
        context.asked.set()
    return Requested(nonce, expires_at, next_mail_at)
