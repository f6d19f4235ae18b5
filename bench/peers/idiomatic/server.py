"""Strawberry's own ASGI view at /graphql, for uvicorn."""

import datetime as dt
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from cross_web import HTTPException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL

from bench.peers.idiomatic import sight
from bench.peers.idiomatic.context import Context
from bench.peers.idiomatic.database import Database, Reading
from bench.peers.idiomatic.schema import schema

UNAUTHENTICATED = 401
GARBAGE_AFTER = (10_000, 20, 20)


class View(GraphQL[Context, None]):
    """View that looks up the token before anything else."""

    def __init__(self, database: Database, key: str) -> None:
        super().__init__(schema, graphql_ide=None, allow_queries_via_get=False)
        self.database, self.key = database, key

    async def run(self, request: Request | WebSocket, *asked: Any, **more: Any) -> Any:
        async with self.database.sessions() as session:
            request.state.reading = Reading(session)
            return await super().run(request, *asked, **more)

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        now = dt.datetime.now(dt.UTC)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = token if scheme.lower() == "bearer" else ""
        reading = request.state.reading
        viewer = await sight.viewer(reading, self.key, bearer, now)
        if viewer is None:
            raise HTTPException(UNAUTHENTICATED, "unknown token")
        return Context(reading, viewer, now)

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


def app(url: str, key: str) -> Starlette:
    database = Database(url)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await database.close()

    view = View(database, key)
    return Starlette(routes=[Route("/graphql", view, methods=["POST"])], lifespan=lifespan)


def served() -> Starlette:
    """Return the application for uvicorn."""
    application = app(os.environ["DATABASE_URL"], os.environ["TOKEN_KEY"])
    # Objects of the start are never garbage, and a large response has many parts that are not
    # garbage yet: by default, collections take a third of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_AFTER)
    return application
