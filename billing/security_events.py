"""Security events: refusals and sign-ins, one line of JSON each on the logger `portal.security`.

Lines contain row ids, keyed hashes and names of the schema. They never contain variables, tokens,
addresses or names of persons. `docs/security-events.md` lists the events.
"""

import datetime as dt
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

NAME = "portal.security"
log = logging.getLogger(NAME)

# The number of names that an event lists; further names are left out.
MOST_NAMES = 50

Told = str | int | Sequence[str] | None

# The meaning of the events' fields.
FIELDS = {
    "address": "The keyed hash of the network address, as in `access_entry.address_hash`.",
    "by": "The id of the token that requested it.",
    "code": "The reason; for a sign-in, the error code of the schema.",
    "count": "The number of ids that were not visible.",
    "fields": "Coordinates of the schema, as `Client.name`; the first 50.",
    "kind": "The kind of viewer that the token belongs to.",
    "limits": "The names of the exceeded limits.",
    "practice": "The practice's id.",
    "scopes": "The scopes that the token lacks.",
    "token": "The id of the token's row (not the token itself).",
}
OF_VIEWER = ("practice", "token", "kind", "address")


@dataclass(frozen=True)
class SecurityEvent:
    """A kind of event, with the fields that it may have besides `event` and `at`."""

    name: str
    meaning: str
    fields: tuple[str, ...]

    def emit(self, **values: Told) -> None:
        """Write the event as a line; fields without a value are left out."""
        if not log.isEnabledFor(logging.INFO):
            return
        told = {
            "event": self.name,
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        }
        log.info(json.dumps(told | self.checked(values)))

    def checked(self, values: dict[str, Told]) -> dict[str, Told]:
        """Return the values ready for JSON. Raise ValueError for a field that the event doesn't
        have.
        """
        if strange := values.keys() - set(self.fields):
            raise ValueError(f"{self.name} has no field {sorted(strange)}")
        return {
            name: value if isinstance(value, str | int) else list(value)[:MOST_NAMES]
            for name, value in values.items()
            if value is not None
        }


SIGNIN_REQUESTED = SecurityEvent(
    "signin.requested",
    "A sign-in mail was requested, for a known or an unknown address.",
    ("address",),
)
SIGNIN_SUCCEEDED = SecurityEvent("signin.succeeded", "Somebody signed in.", OF_VIEWER)
SIGNIN_SWITCHED = SecurityEvent(
    "signin.switched", "A sign-in was switched to another person of its address.", OF_VIEWER
)
SIGNIN_REFUSED = SecurityEvent(
    "signin.refused",
    "A link or a code was refused, or too many codes had failed.",
    ("code", "address"),
)
SIGNIN_ENDED = SecurityEvent("signin.ended", "Somebody signed out.", OF_VIEWER)
TOKEN_REFUSED = SecurityEvent(
    "token.refused", "A request had a token that is unknown, expired or revoked.", ("address",)
)
TOKEN_REVOKED = SecurityEvent(
    "token.revoked",
    "A person ended another sign-in of their own.",
    ("practice", "token", "by", "kind", "address"),
)
SCOPE_REFUSED = SecurityEvent(
    "scope.refused",
    "An operation was refused because the token lacks a scope.",
    (*OF_VIEWER, "scopes", "fields"),
)
SIGHT_REFUSED = SecurityEvent(
    "sight.refused",
    "Ids were requested that don't exist or are not visible to the viewer.",
    (*OF_VIEWER, "fields", "count"),
)
LIMIT_REFUSED = SecurityEvent(
    "limit.refused",
    "An operation was refused because it asks for too much.",
    (*OF_VIEWER, "limits"),
)
WEBHOOK_REFUSED = SecurityEvent(
    "webhook.refused", "A request to the webhook was not an event signed by Stripe.", ("code",)
)
EVENTS = (
    SIGNIN_REQUESTED,
    SIGNIN_SUCCEEDED,
    SIGNIN_SWITCHED,
    SIGNIN_REFUSED,
    SIGNIN_ENDED,
    TOKEN_REFUSED,
    TOKEN_REVOKED,
    SCOPE_REFUSED,
    SIGHT_REFUSED,
    LIMIT_REFUSED,
    WEBHOOK_REFUSED,
)
