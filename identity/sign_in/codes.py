"""Six-digit codes: sent with a link, and typed into the page that requested the mail.

A code is derived from the request and the practice with the server's key, so none is stored. There
are only a million codes, so the tries are limited for each request and for each address. See
docs/decisions/0020-sign-in-codes-and-limits.md for the arithmetic.
"""

import datetime as dt
import hmac
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from identity.sign_in import rate_limits
from identity.sign_in.context import SignInContext
from identity.sign_in.rate_limits import Limit
from identity.token_keys import keyed_digest

LENGTH = 6
# The tries of one request. Afterwards its codes are invalid; its links still work.
TRIES_OF_REQUEST = 5
# Wrong codes for one address: ten, and then one a day.
TRIES_OF_ADDRESS = Limit(rate_limits.CODES, every=dt.timedelta(days=1), burst=10)


def mail_code(context: SignInContext, nonce_hash: str, practice_id: str) -> str:
    """Return the code of a request's mail for a practice."""
    # A mail may be sent, and its code typed, before and after a change of the newest key.
    key = context.keys.key_of(nonce_hash)
    digest = keyed_digest(f"sign-in code {nonce_hash} {practice_id}", key)
    # With 256 bits, the remainder has no measurable bias.
    return f"{int.from_bytes(digest) % 10**LENGTH:0{LENGTH}}"


def parse_code(text: str) -> str | None:
    """Return the digits of a typed code, or None if the text can't be a code."""
    digits = text.replace(" ", "").replace("-", "")
    is_code = len(digits) == LENGTH and digits.isascii() and digits.isdigit()
    return digits if is_code else None


def matching(
    context: SignInContext, digits: str, nonce_hash: str, links: Sequence[Row[Any]]
) -> Row[Any] | None:
    """Return the link that was sent with this code, in constant time."""
    row = None
    for link in links:
        if hmac.compare_digest(mail_code(context, nonce_hash, link.practice_id), digits):
            row = link
    return row
