"""Security events: refusals and sign-ins, one line of JSON each on the logger `portal.security`.

Lines have ids of rows, keyed hashes and names of the contract. They never have variables, tokens,
addresses or names of persons. `docs/security-events.md` lists the events.
"""

import datetime as dt
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

NAME = "portal.security"
log = logging.getLogger(NAME)

# Names that a request may list; of more, the first are told.
MOST_NAMES = 50

Told = str | int | Sequence[str] | None

# What the fields of events are.
FIELDS = {
    "address": "The keyed hash of the network address, as in `access_entry.address_hash`.",
    "by": "The id of the token that asked for it.",
    "code": "Why, in a word; of a sign-in, as the refusal's code in the schema.",
    "count": "How many ids were out of sight.",
    "fields": "Coordinates of the schema, as `Client.name`; the first 50.",
    "kind": "What kind of viewer the token is of.",
    "limits": "The limits that were passed, by their names.",
    "practice": "The practice's id.",
    "scopes": "The scopes that the token lacks.",
    "token": "The id of the token's row, which is not the token.",
}
OF_VIEWER = ("practice", "token", "kind", "address")


@dataclass(frozen=True)
class Event:
    """A kind of event, and the fields that it may have beside `event` and `at`."""

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
        """Return the values as they are told; one that the event hasn't is a mistake of ours."""
        if strange := values.keys() - set(self.fields):
            raise ValueError(f"{self.name} has no field {sorted(strange)}")
        return {
            name: value if isinstance(value, str | int) else list(value)[:MOST_NAMES]
            for name, value in values.items()
            if value is not None
        }


SIGNIN_REQUESTED = Event(
    "signin.requested", "A sign-in mail was asked for, for whatever address.", ("address",)
)
SIGNIN_SUCCEEDED = Event("signin.succeeded", "Somebody signed in.", OF_VIEWER)
SIGNIN_SWITCHED = Event(
    "signin.switched", "A sign-in was switched to another person of its address.", OF_VIEWER
)
SIGNIN_REFUSED = Event(
    "signin.refused",
    "A link or a code did not sign in, or too many codes had failed.",
    ("code", "address"),
)
SIGNIN_ENDED = Event("signin.ended", "Somebody signed out.", OF_VIEWER)
TOKEN_REFUSED = Event(
    "token.refused", "A token was shown that is unknown, expired or revoked.", ("address",)
)
TOKEN_REVOKED = Event(
    "token.revoked",
    "Another sign-in of the same person was ended.",
    ("practice", "token", "by", "kind", "address"),
)
SCOPE_REFUSED = Event(
    "scope.refused",
    "An operation was refused because the token lacks a scope.",
    (*OF_VIEWER, "scopes", "fields"),
)
SIGHT_REFUSED = Event(
    "sight.refused",
    "Ids were asked for that the viewer doesn't see, or that don't exist.",
    (*OF_VIEWER, "fields", "count"),
)
LIMIT_REFUSED = Event(
    "limit.refused",
    "An operation was refused because it asks for too much.",
    (*OF_VIEWER, "limits"),
)
WEBHOOK_REFUSED = Event(
    "webhook.refused", "A request to the webhook was not a signed event of Stripe's.", ("code",)
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
