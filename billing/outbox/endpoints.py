"""The endpoints of practices: added, removed, paused, and their secrets rotated."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.encryption import FieldKeys
from billing.outbox.messages import new_webhook_secret
from models import EndpointStatus, EventEndpoint, EventKind, PracticeVersion
from models.ids import new_id

# The time for which the former secret signs too.
BOTH_SIGN = dt.timedelta(days=1)
# A position behind all events of a version.
LAST_POSITION = 2**31 - 1
# The values of an endpoint that has no failures.
NO_FAILURES: dict[str, Any] = {
    "failures": 0,
    "failing_since": None,
    "last_error": None,
    "attempt_at": None,
}
# Ends the turn of a worker, which finds its lease gone with its next message.
TAKEN_BACK: dict[str, Any] = {"leased_until": None}


@dataclass(frozen=True)
class NewEndpoint:
    """An endpoint that was added, and its secret, which is shown once."""

    id: str
    secret: str


async def add_endpoint(
    conn: AsyncConnection,
    keys: FieldKeys,
    practice_id: str,
    url: str,
    kinds: Sequence[EventKind],
    now: dt.datetime,
) -> NewEndpoint:
    """Add an endpoint. It gets the events after the practice's current version."""
    endpoint = NewEndpoint(new_id(), new_webhook_secret())
    values = {
        "practice_id": practice_id,
        "id": endpoint.id,
        "url": url,
        "kinds": sorted(set(kinds)),
        "secret_encrypted": keys.encrypted(endpoint.secret),
        "status": EndpointStatus.ACTIVE,
        "after_version": await current_version(conn, practice_id),
        "after_position": LAST_POSITION,
        "created_at": now,
        **NO_FAILURES,
    }
    await conn.execute(insert(EventEndpoint).values(values))
    return endpoint


async def current_version(conn: AsyncConnection, practice_id: str) -> int:
    version = select(func.max(PracticeVersion.version)).where(
        PracticeVersion.practice_id == practice_id
    )
    return await conn.scalar(version) or 0


async def rotate_secret(
    conn: AsyncConnection, keys: FieldKeys, endpoint: Row[Any], now: dt.datetime
) -> str:
    """Give an endpoint a new secret, and return it. The former one signs too for a day."""
    secret = new_webhook_secret()
    values = {
        "secret_encrypted": keys.encrypted(secret),
        "former_secret_encrypted": endpoint.secret_encrypted,
        "former_until": now + BOTH_SIGN,
    }
    await change_endpoint(conn, endpoint, **values)
    return secret


async def pause_endpoint(conn: AsyncConnection, endpoint: Row[Any]) -> None:
    """Send nothing to an endpoint until it is resumed. Its events wait."""
    await change_endpoint(conn, endpoint, status=EndpointStatus.PAUSED, **TAKEN_BACK)


async def resume_endpoint(conn: AsyncConnection, endpoint: Row[Any]) -> None:
    """Send the events that wait, at once."""
    await change_endpoint(conn, endpoint, status=EndpointStatus.ACTIVE, **NO_FAILURES)


async def replay_events(conn: AsyncConnection, endpoint: Row[Any], after_version: int) -> None:
    """Send the events of all versions after one again, the first one first."""
    place = {"after_version": after_version, "after_position": LAST_POSITION}
    await change_endpoint(conn, endpoint, **place, **NO_FAILURES, **TAKEN_BACK)


async def remove_endpoint(conn: AsyncConnection, endpoint: Row[Any]) -> None:
    """Remove an endpoint. The events stay in the outbox."""
    await conn.execute(delete(EventEndpoint).where(is_endpoint(endpoint)))


async def change_endpoint(conn: AsyncConnection, endpoint: Row[Any], **values: Any) -> None:
    await conn.execute(update(EventEndpoint).where(is_endpoint(endpoint)).values(values))


def is_endpoint(endpoint: Row[Any]) -> ColumnElement[bool]:
    return and_(EventEndpoint.practice_id == endpoint.practice_id, EventEndpoint.id == endpoint.id)


def secrets_of_endpoint(
    keys: FieldKeys, endpoint: Row[Any], now: dt.datetime
) -> Sequence[str] | None:
    """Return the secrets that sign now, the newest first; None if no key decrypts one of them."""
    encrypted = [endpoint.secret_encrypted]
    if endpoint.former_until is not None and endpoint.former_until > now:
        encrypted.append(endpoint.former_secret_encrypted)
    found = [keys.read(one) for one in encrypted]
    readable = [secret for secret in found if secret is not None]
    return readable if len(readable) == len(found) else None
