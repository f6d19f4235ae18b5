"""The messages of events: their ids, their bodies and their signatures, by Standard Webhooks.

A message names a row and a version, and nothing about a person: no name, no amount, no text.
"""

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Row

from billing.outbox.row_states import ROW_STATES
from models import EventKind

SECRET_PREFIX = "whsec_"  # noqa: S105 - not a secret
SECRET_BYTES = 32
# The type of a message that an operator sends to try an endpoint.
TEST_TYPE = "webhook.test"
# The prefix of a row's id, by the first word of the kinds of its events.
PREFIXES = {states.created.partition("_")[0]: states.prefix for states in ROW_STATES}


@dataclass(frozen=True)
class Message:
    """A message to an endpoint. All attempts to deliver it have the same id and body."""

    id: str
    body: bytes

    def headers(self, endpoint_secrets: Sequence[str], now: dt.datetime) -> Mapping[str, str]:
        """Return the headers with a signature by each secret. The time is that of the attempt."""
        seconds = str(int(now.timestamp()))
        signed = b".".join((self.id.encode(), seconds.encode(), self.body))
        return {
            "content-type": "application/json",
            "webhook-id": self.id,
            "webhook-timestamp": seconds,
            "webhook-signature": " ".join(sign(secret, signed) for secret in endpoint_secrets),
        }


def sign(secret: str, signed: bytes) -> str:
    """Return the signature, version 1, of a message."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def new_webhook_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def type_of_kind(kind: EventKind) -> str:
    """Return the type in a message: `invoice.paid` for INVOICE_PAID."""
    return kind.lower().replace("_", ".", 1)


KINDS_BY_TYPE = {type_of_kind(kind): kind for kind in EventKind}


def message_of_event(event: Row[Any]) -> Message:
    """Return the message of an event of the outbox."""
    prefix = PREFIXES[event.kind.partition("_")[0]]
    data = {"id": f"{prefix}_{event.row_id}", "version": str(event.version)}
    return message(
        f"evt_{event.practice_id}_{event.version}_{event.position}",
        type_of_kind(event.kind),
        event.occurred_at,
        {"practice": f"pra_{event.practice_id}", **data},
    )


def message_of_test(practice_id: str, now: dt.datetime) -> Message:
    """Return a message that tells of nothing."""
    id_ = f"evt_{secrets.token_hex(16)}"
    return message(id_, TEST_TYPE, now, {"practice": f"pra_{practice_id}"})


def message(id_: str, type_: str, at: dt.datetime, data: Mapping[str, str]) -> Message:
    moment = at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Message(id_, orjson.dumps({"type": type_, "timestamp": moment, "data": data}))
