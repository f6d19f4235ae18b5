"""Six-digit codes: sent beside a link, and typed into the page that asked for the mail.

A code is worked out of the request and the practice with the server's key, so none is stored.
A million codes are few: what may be tried is bounded for each request and for each address. See
docs/decisions/0020-a-code-beside-the-link.md for the arithmetic.
"""

import datetime as dt
import hmac
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from identity.door import Door
from identity.limits import Limit

LENGTH = 6
# Of one request. Afterwards its codes are dead, and its links go on working.
TRIES_OF_REQUEST = 5
# Codes that were wrong, of one address: ten, and then one a day.
TRIES_OF_ADDRESS = Limit("code", every=dt.timedelta(days=1), burst=10)


def code(door: Door, nonce_hash: str, practice_id: str) -> str:
    """Return the code of a request's mail for a practice."""
    digest = door.hashed(f"sign-in code {nonce_hash} {practice_id}")
    # 256 bits: their remainder favours no code measurably.
    return f"{int(digest, 16) % 10**LENGTH:0{LENGTH}}"


def typed(text: str) -> str | None:
    """Return the digits of a code as somebody typed it; None if it can't be one."""
    digits = text.replace(" ", "").replace("-", "")
    is_code = len(digits) == LENGTH and digits.isascii() and digits.isdigit()
    return digits if is_code else None


def matching(
    door: Door, digits: str, nonce_hash: str, links: Sequence[Row[Any]]
) -> Row[Any] | None:
    """Return the link that was sent with this code, in the same time wherever they differ."""
    found = None
    for link in links:
        if hmac.compare_digest(code(door, nonce_hash, link.practice_id), digits):
            found = link
    return found
