"""Asking for a link: one row and an answer, the same for every address."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import insert

from identity.door import Door
from identity.tokens import random_text
from models import SignInRequest
from models.ids import new_id
from models.names import folded

LASTS = dt.timedelta(minutes=10)
# RFC 5321 has no longer address that mail could be sent to.
LONGEST = 254


@dataclass(frozen=True)
class Requested:
    """What the page keeps, to use the link with; and until when the link works, if there is one."""

    nonce: str
    expires_at: dt.datetime


async def request(door: Door, email: str, address_hash: str | None, now: dt.datetime) -> Requested:
    """Writes the request down. Whose the address is, isn't looked at: so it can't be told either,
    not even by the time that the answer takes."""
    typed, requested = email.strip(), Requested(random_text(), now + LASTS)
    row = insert(SignInRequest).values(
        id=new_id(),
        email=typed if len(typed) <= LONGEST else None,
        # Addresses that some database may take for one have one hash.
        email_hash=door.hashed(folded(typed)),
        address_hash=address_hash,
        nonce_hash=door.hashed(requested.nonce),
        created_at=now,
        expires_at=requested.expires_at,
        tries=0,
        due_at=now,
    )
    async with door.engine.begin() as rows:
        await rows.execute(row)
    door.asked.set()
    return requested
