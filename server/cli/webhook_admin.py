"""Endpoints of webhooks on the command line."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.audit_log import record
from billing.encryption import FieldKeys
from billing.outbox import endpoints
from billing.outbox.addresses import UnacceptedUrl
from billing.outbox.delivery import UNREADABLE, is_after
from billing.outbox.messages import KINDS_BY_TYPE, message_of_test, type_of_kind
from billing.outbox.sender import Sender
from models import AccessAction, EventEndpoint, EventKind, OutboxEvent, Practice, database
from server.cli.operators import operator
from server.cli.rows import find_row, row_id_of, writing
from server.clock import utc_now
from server.command_errors import CommandError
from server.settings import Settings

NO_KEY = "FIELD_KEY is not set. The secrets of webhooks are stored encrypted with it."


class NotDone(CommandError):
    """Nothing was changed. The text gives the reason."""


@asynccontextmanager
async def endpoint_change(
    settings: Settings, command: str, endpoint: str
) -> AsyncIterator[tuple[AsyncConnection, Row[Any]]]:
    """Yield a transaction of a command, with its entry in the audit log, and the endpoint."""
    async with writing(settings) as conn:
        row = await find_row(conn, EventEndpoint, endpoint)
        await enter(conn, command, row.practice_id)
        yield conn, row


async def enter(
    conn: AsyncConnection,
    command: str,
    practice_id: str,
    action: AccessAction = AccessAction.CHANGE,
) -> None:
    """Write a command to the practice's audit log."""
    by = operator(practice_id, f"portal webhooks {command}")
    await record(conn, by, None, utc_now(), action)


def keys_of(settings: Settings) -> FieldKeys:
    if not settings.field_key:
        raise NotDone(NO_KEY)
    return settings.field_keys


def kinds_of(types: Sequence[str]) -> list[EventKind]:
    unknown = [one for one in types if one not in KINDS_BY_TYPE]
    if unknown:
        raise NotDone(f"There is no event {unknown[0]}. There are: {', '.join(KINDS_BY_TYPE)}.")
    return [KINDS_BY_TYPE[one] for one in types]


async def add(settings: Settings, practice: str, url: str, types: Sequence[str]) -> Sequence[str]:
    """Add an endpoint, and return its id and its secret."""
    keys, kinds = keys_of(settings), kinds_of(types)
    try:
        settings.address_rules.parse(url)
    except UnacceptedUrl as error:
        raise NotDone(f"The address {error}.") from None
    async with writing(settings) as conn:
        row = await find_row(conn, Practice, practice)
        await enter(conn, "endpoint add", row.id)
        made = await endpoints.add_endpoint(conn, keys, row.id, url, kinds, utc_now())
    return f"whe_{made.id}", made.secret


async def rotate(settings: Settings, endpoint: str) -> str:
    keys = keys_of(settings)
    async with endpoint_change(settings, "endpoint rotate", endpoint) as (conn, row):
        return await endpoints.rotate_secret(conn, keys, row, utc_now())


async def pause(settings: Settings, endpoint: str) -> None:
    async with endpoint_change(settings, "endpoint pause", endpoint) as (conn, row):
        await endpoints.pause_endpoint(conn, row)


async def resume(settings: Settings, endpoint: str) -> None:
    async with endpoint_change(settings, "endpoint resume", endpoint) as (conn, row):
        await endpoints.resume_endpoint(conn, row)


async def remove(settings: Settings, endpoint: str) -> None:
    async with endpoint_change(settings, "endpoint remove", endpoint) as (conn, row):
        await endpoints.remove_endpoint(conn, row)


async def replay(settings: Settings, practice: str, since: int, endpoint: str | None) -> str:
    """Send the events after a version again, and return a sentence with their number."""
    async with writing(settings) as conn:
        row = await find_row(conn, Practice, practice)
        found = await endpoints_of(conn, EventEndpoint.practice_id == row.id)
        chosen = [one for one in found if endpoint is None or one.id == row_id_of(endpoint)]
        if not chosen:
            raise NotDone(f"The practice {practice} has no such endpoint.")
        await enter(conn, "replay", row.id)
        for one in chosen:
            await endpoints.replay_events(conn, one, since)
        count = await conn.scalar(
            select(func.count()).where(
                OutboxEvent.practice_id == row.id, OutboxEvent.version > since
            )
        )
    return f"Events to send again: {count:,}, to endpoints: {len(chosen):,}."


async def try_endpoint(settings: Settings, endpoint: str) -> tuple[str, bool]:
    """Send a test message. Return the result as a sentence, and whether it was accepted."""
    keys, now = keys_of(settings), utc_now()
    async with endpoint_change(settings, "test", endpoint) as (_, row):
        secrets = endpoints.secrets_of_endpoint(keys, row, now)
    if secrets is None:
        raise NotDone(f"The endpoint gets nothing: {UNREADABLE}.")
    message = message_of_test(row.practice_id, now)
    async with Sender(settings.address_rules, row.url) as sender:
        answer = await sender.send(message.body, message.headers(secrets, now))
    if answer.failure is not None:
        return f"The endpoint did not accept the message: {answer.failure}.", False
    return f"The endpoint accepted the message: status {answer.status}.", True


# -- list ------------------------------------------------------------------------------------------


async def list_endpoints(settings: Settings, practice: str | None, *, as_json: bool) -> str:
    """Return the endpoints, a line each or as JSON."""
    async with database.open_engine(settings.database_url) as engine, engine.begin() as conn:
        which: ColumnElement[bool] | None = None
        if practice is not None:
            which = EventEndpoint.practice_id == (await find_row(conn, Practice, practice)).id
        found = await endpoints_of(conn, *([which] if which is not None else []))
        for practice_id in sorted({one.practice_id for one in found}):
            await enter(conn, "endpoint list", practice_id, AccessAction.READ)
        rows = [await facts_of(conn, one) for one in found]
    if as_json:
        return json.dumps(rows, indent=2)
    return "\n".join(line_of(one) for one in rows)


async def endpoints_of(conn: AsyncConnection, *which: ColumnElement[bool]) -> Sequence[Row[Any]]:
    order = EventEndpoint.practice_id, EventEndpoint.created_at, EventEndpoint.id
    statement = select(EventEndpoint.__table__).where(*which).order_by(*order)
    return (await conn.execute(statement)).all()


async def facts_of(conn: AsyncConnection, endpoint: Row[Any]) -> dict[str, Any]:
    """Return what is known of an endpoint, without its secret."""
    waiting = select(func.count()).where(
        OutboxEvent.practice_id == endpoint.practice_id,
        is_after(endpoint.after_version, endpoint.after_position),
    )
    failing_since = endpoint.failing_since
    return {
        "id": f"whe_{endpoint.id}",
        "practice": f"pra_{endpoint.practice_id}",
        "url": endpoint.url,
        "status": endpoint.status.lower(),
        "events": [type_of_kind(EventKind(kind)) for kind in endpoint.kinds],
        "waiting": await conn.scalar(waiting),
        "after_version": str(endpoint.after_version),
        "failures": endpoint.failures,
        "failing_since": failing_since.isoformat() if failing_since else None,
        "last_error": endpoint.last_error,
    }


def line_of(facts: dict[str, Any]) -> str:
    parts = [facts["id"], facts["practice"], facts["status"], facts["url"]]
    parts.append(f"waiting: {facts['waiting']:,}")
    if facts["last_error"]:
        parts.append(f"failed {facts['failures']:,} times: {facts['last_error']}")
    return "  ".join(parts)
