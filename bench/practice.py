"""The benchmark's practice: made by `portal load-demo`, with tokens for the senders of requests."""

import asyncio
import datetime as dt
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bench.operations import Askers
from identity import tokens
from identity.tokens import PERSONAL_SCOPES, Subject
from models import Client, Invoice, Scope, database
from tests.support import postgres

# The number of invoices of the clients who ask: a page of ten, with or without a next page.
FEWEST, MOST = 8, 24
LASTS = dt.timedelta(days=1)
DASHBOARD_SCOPES = (Scope.BILLING_READ, Scope.PHI_READ, Scope.AGGREGATES_READ)


async def made(url: str, key: str, clients: int, asking: int) -> Askers:
    """Make a practice of this many clients in an empty database, and return some with tokens."""
    await asyncio.to_thread(load, url, key, clients)
    engine = database.engine(url)
    try:
        return await askers(engine, key, dt.datetime.now(dt.UTC), asking)
    finally:
        await engine.dispose()


def load(url: str, key: str, clients: int, practices: int = 1) -> None:
    """Make practices of this many clients in an empty database, as their operator would."""
    urls = {"DATABASE_URL": url, "DATABASE_OWNER_URL": postgres.as_owner(url)}
    environment = {**os.environ, **urls, "TOKEN_KEY": key}
    for command in (["migrate"], ["load-demo", f"--clients={clients}", f"--practices={practices}"]):
        subprocess.run(
            [sys.executable, "-m", "server", *command],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )


async def askers(
    engine: AsyncEngine, key: str, now: dt.datetime, most: int, practice_id: str | None = None
) -> Askers:
    """Return this many of the practice's clients, spread over it, and a dashboard, with tokens."""
    statement = (
        select(Client.practice_id, Client.id, func.min(cast(Invoice.id, Text)))
        .join(
            Invoice, (Invoice.practice_id == Client.practice_id) & (Invoice.client_id == Client.id)
        )
        .where(Invoice.shared_at.is_not(None))
        .group_by(Client.practice_id, Client.id)
        .having(func.count().between(FEWEST, MOST))
        .order_by(Client.id)
    )
    if practice_id is not None:
        statement = statement.where(Client.practice_id == practice_id)
    async with engine.begin() as conn:
        found = spread((await conn.execute(statement)).all(), most)
        practice_id = found[0][0]
        clients = [
            await token(conn, key, Subject(practice_id, client_id=id_), now) for _, id_, _ in found
        ]
        dashboard = await token(conn, key, Subject(practice_id), now)
    return Askers(clients, dashboard, [f"inv_{id_}" for *_, id_ in found], now.date())


def spread(items: Sequence[Any], size: int) -> Sequence[Any]:
    """Return this many items, spread over the list."""
    return items[:: max(len(items) // size, 1)][:size]


async def token(conn: AsyncConnection, key: str, subject: Subject, now: dt.datetime) -> str:
    scopes = PERSONAL_SCOPES if subject.client_id else DASHBOARD_SCOPES
    _, text = await tokens.create_token(conn, key, subject, "bench", frozenset(scopes), now, LASTS)
    return text
