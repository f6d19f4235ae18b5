"""Verification of webhook signatures and their times.

A header is `t=<seconds>,v1=<HMAC>`, with a `v1` for each secret that is valid during a rotation.
Signatures of other schemes are ignored. Everything else is refused: a second `t` would let an old
body pass as a new one.
"""

import datetime as dt
import hashlib
import hmac
import json
import re
from collections.abc import Sequence

from billing.stripe.objects import Event, NotAnEvent, hint

# The tolerance for a signature's time, in both directions.
TOLERANCE = dt.timedelta(seconds=300)
# Values have visible ASCII characters except the comma: others can't be compared as digests.
PART = re.compile(r"(?P<name>[a-z][a-z0-9]*)=(?P<value>[!-+\--~]+)")
# Seconds since 1970. No time of this or the next millennium has more digits.
SECONDS = re.compile(r"[0-9]{1,12}")


def event(body: bytes, header: str | None, secrets: Sequence[str], now: dt.datetime) -> Event:
    """Return the event of a body that was signed with one of the secrets just now."""
    verify(body, header, secrets, now)
    try:
        return hint(json.loads(body))
    except (ValueError, RecursionError):
        raise NotAnEvent("the body is not JSON") from None


def verify(body: bytes, header: str | None, secrets: Sequence[str], now: dt.datetime) -> None:
    """Raise NotAnEvent, with the reason, unless one of the secrets signed the body just now."""
    if not header:
        raise NotAnEvent("there is no Stripe-Signature header")
    signed_at, signatures = parse_header(header)
    expected = [sign(body, signed_at, secret) for secret in secrets]
    # All pairs are compared, so that the duration reveals nothing.
    matches = [hmac.compare_digest(one, other) for one in signatures for other in expected]
    if not any(matches):
        raise NotAnEvent("the signature fits none of this endpoint's secrets")
    if abs(now.timestamp() - int(signed_at)) > TOLERANCE.total_seconds():
        raise NotAnEvent("it was signed more than 300 seconds ago or ahead of this server's clock")


def parse_header(header: str) -> tuple[str, list[str]]:
    """Return the time and the `v1` signatures of a header."""
    found: dict[str, list[str]] = {}
    for part in header.split(","):
        match = PART.fullmatch(part)
        if match is None:
            raise NotAnEvent("the Stripe-Signature header has a part that is not name=value")
        found.setdefault(match["name"], []).append(match["value"])
    times, signatures = found.get("t", []), found.get("v1", [])
    if len(times) != 1 or SECONDS.fullmatch(times[0]) is None:
        raise NotAnEvent("the Stripe-Signature header has not exactly one time (t=)")
    if not signatures:
        raise NotAnEvent("the Stripe-Signature header has no v1 signature")
    return times[0], signatures


def sign(body: bytes, signed_at: str, secret: str) -> str:
    """Return the `v1` signature of a body that was signed at a time."""
    signed = signed_at.encode() + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
