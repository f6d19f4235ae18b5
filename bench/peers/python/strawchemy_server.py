"""Strawberry's own ASGI view over the schema of strawchemy, for uvicorn."""

import gc
import os
from typing import Any

import orjson
from cross_web import HTTPException
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from strawberry.asgi import GraphQL

from bench.peers.python.strawchemy_schema import Context, schema
from bench.peers.python.viewers import CONNECTIONS, LOOK_UP, SETTINGS, Viewer, token_hash

UNAUTHENTICATED = 401
GARBAGE_AFTER = (10_000, 20, 20)
TOKEN = text(LOOK_UP.format(hash=":hash"))


class View(GraphQL[Context, None]):
    """View with a session for each request. It looks up the token before anything else."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], key: str) -> None:
        super().__init__(schema, graphql_ide=None, allow_queries_via_get=False)
        self.sessions, self.key = sessions, key

    async def run(self, request: Any, *asked: Any, **more: Any) -> Any:
        async with self.sessions() as session:
            request.state.session = session
            return await super().run(request, *asked, **more)

    async def get_context(self, request: Any, response: Any) -> Context:
        viewer = await self.viewer(request)
        if viewer is None:
            raise HTTPException(UNAUTHENTICATED, "unknown token")
        return Context(request.state.session, viewer)

    async def viewer(self, request: Request) -> Viewer | None:
        known = token_hash(request.headers.get("authorization", ""), self.key)
        if known is None:
            return None
        row = (await request.state.session.execute(TOKEN, {"hash": known})).first()
        return Viewer.of_row(*row) if row else None

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


def served() -> Starlette:
    """Return the application for uvicorn."""
    engine = create_async_engine(
        make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg"),
        pool_size=CONNECTIONS,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
        connect_args={"server_settings": SETTINGS},
    )
    sessions = async_sessionmaker(engine)
    view = View(sessions, os.environ["TOKEN_KEY"])
    application = Starlette(routes=[Route("/graphql", view, methods=["POST"])])
    # As for the other peer of Strawberry: most parts of a large response are not garbage.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_AFTER)
    return application
