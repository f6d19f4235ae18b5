"""A server over a small database, called over HTTP within the process."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from sqlalchemy import Text, cast, func, insert, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette

from billing.ledger.hash_chain import CHAINED, append
from billing.ledger.locks import lock_client
from execution.introspection import Introspection
from identity import tokens
from identity.tokens import PERSONAL_SCOPES, Subject
from models import Client, Contact, ContactRight, Practice, Relation, Row, Scope
from models.database import open_engine
from models.ids import new_id
from server.app import app
from server.settings import Settings
from tests.support.empty_databases import prepare

KEY = "a key for tests of enough characters"


class Clock:
    """The server's clock, set by tests."""

    def __init__(self) -> None:
        self.time = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.time


class Portal:
    """A portal with two clients and a guardian of both; tests add further rows."""

    def __init__(self, url: str, engine: AsyncEngine) -> None:
        self.url, self.engine, self.clock = url, engine, Clock()
        self.practice_id, self.guardian_id = new_id(), new_id()
        # Ids of one millisecond are in random order; the client gets the lower one.
        self.client_id, self.other_id = sorted([new_id(), new_id()])
        self.http: httpx.AsyncClient
        self.application: Starlette

    async def insert(self, model: type[Row], *rows: Mapping[str, Any]) -> None:
        async with self.engine.begin() as conn:
            if model not in CHAINED:
                await conn.execute(insert(model), [dict(row) for row in rows])
                return
            for row in rows:
                await lock_client(conn, row["practice_id"], row["client_id"])
                await append(conn, [(model, row)], self.clock())

    async def fill(self) -> None:
        own = {"practice_id": self.practice_id}
        client = own | {"created_at": self.clock()}
        clients = {self.client_id: "Ana Prieto", self.other_id: "Ben Osei"}
        right = {**own, "contact_id": self.guardian_id, "relation": Relation.GUARDIAN}
        rights = {**right, "sees_documents": True, "can_pay": False}
        rows: list[tuple[type[Row], list[dict[str, Any]]]] = [
            (Practice, [practice(self.practice_id)]),
            (Client, [client | {"id": id_, "name": name} for id_, name in clients.items()]),
            (Contact, [own | {"id": self.guardian_id, "name": "Gail Ahn"}]),
            (ContactRight, [{**rights, "client_id": id_} for id_ in clients]),
        ]
        async with self.engine.begin() as conn:
            for model, values in rows:
                await conn.execute(insert(model), values)

    async def token(
        self, subject: Subject | None = None, *, scopes: frozenset[Scope] | None = None
    ) -> str:
        """Create a token that is valid for an hour, by default for the client."""
        subject = subject or Subject(self.practice_id, client_id=self.client_id)
        scopes = frozenset(PERSONAL_SCOPES) if scopes is None else scopes
        async with self.engine.begin() as conn:
            hour = dt.timedelta(hours=1)
            _, token = await tokens.create_token(
                conn, KEY, subject, "test", scopes, self.clock(), hour
            )
        return token

    async def ask(self, query: str, token: str | None = None, **variables: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": variables}
        return await self.http.post("/graphql", json=body, headers=headers)


def practice(id_: str) -> dict[str, Any]:
    return {
        "id": id_,
        "name": "Harbor Counseling",
        "time_zone": "America/New_York",
        "currency": "USD",
        "locale": "en-US",
        "clients_remove_cards": False,
    }


async def rows_in_order(engine: AsyncEngine, row: type[Row]) -> list[Any]:
    """Return the rows of a table in the order in which they were inserted.

    PostgreSQL moves a row when it is updated, so rows are in the order of the times in their ids,
    and those of one millisecond by their place.
    """
    statement = select(row)
    if engine.dialect.name == "postgresql":
        id_ = row.__table__.c.get("id")
        times = [] if id_ is None else [func.left(cast(id_, Text), len("01234567-89ab"))]
        statement = statement.order_by(*times, literal_column("ctid"))
    async with engine.connect() as conn:
        return list((await conn.execute(statement)).all())


@asynccontextmanager
async def served(url: str, **settings: Any) -> AsyncIterator[Portal]:
    """Yield a portal over an empty database. With `local` it serves the demo's pages."""
    await prepare(url)
    local = settings.pop("local", False)
    # One token in a test sends the requests of many.
    tests_own: dict[str, Any] = {"sandbox_file": ":memory:", "token_seconds": 600}
    given = {"introspection": Introspection.VIEWERS} | tests_own | settings
    async with open_engine(url) as writing:
        portal = Portal(url, writing)
        await portal.fill()
        own = Settings(database_url=url, token_key=KEY, **given)
        application = app(own, local=local, now=portal.clock)
        portal.application = application
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with (
            application.router.lifespan_context(application),
            httpx.AsyncClient(transport=transport, base_url="http://portal") as portal.http,
        ):
            yield portal
