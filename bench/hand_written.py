"""The hand-written reference endpoint: each operation written by hand, as raw ASGI.

It takes the same requests and returns the same bytes, but has only the measured operations: it
chooses the statement by the operation's name, and returns the statement's text. Like the portal, it
remembers the viewer of a token, and the statement looks the token up again: one round trip.
"""

import asyncio
import datetime as dt
import gc
import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import orjson

from bench import statements
from billing.ledger.periods import Period, split_into_periods
from identity.token_keys import hashed
from identity.tokens import is_well_formed
from models import ViewerKind

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
# Prepared statements, by name.
Statements = Mapping[str, Any]

CONNECTIONS = 10
VALUE = re.compile(r"\$(\d+)")


def with_viewer(sql: str) -> str:
    """Return the statement together with the lookup of the token, whose two values come last."""
    last = max(int(number) for number in VALUE.findall(sql))
    viewer = VALUE.sub(lambda match: f"${int(match[1]) + last}", statements.VIEWER)
    return f"SELECT viewer.*, ({sql}) FROM ({viewer}) viewer"  # noqa: S608


STATEMENTS = {
    "viewer": statements.VIEWER,
    "BillingPage": with_viewer(statements.BILLING),
    "Dashboard": with_viewer(statements.DASHBOARD),
    "Balance": with_viewer(statements.TINY),
    "Deep": with_viewer(statements.DEEP),
    "Counted": with_viewer(statements.COUNTED),
    "Node": with_viewer(statements.NODE),
    "Revenue": with_viewer(statements.REVENUE),
}
SETTINGS = {
    "jit": "off",
    "default_transaction_read_only": "on",
    "statement_timeout": "10000",
    # By default the database plans some of these again at each run, with the same plan.
    "plan_cache_mode": "force_generic_plan",
}
HEADERS = [
    (b"content-type", b"application/json; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"vary", b"Accept, Accept-Encoding, Origin"),
]
UNAUTHENTICATED, FORBIDDEN = 401, 403


class ViewerChanged(Exception):
    """The token's viewer has changed since the last request."""


@dataclass(frozen=True)
class Answering:
    """A prepared statement that looks up the viewer again in addition to the text."""

    prepared: Any
    viewer: asyncpg.Record
    name: str
    now: dt.datetime

    async def fetchval(self, *values: Any) -> str | None:
        row = await self.prepared.fetchrow(*values, self.name, self.now)
        if row is None or tuple(row)[:-1] != tuple(self.viewer):
            raise ViewerChanged
        text: str | None = row[-1]
        return text


class HandWritten:
    """The ASGI application, over the database of this URL."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        # The last viewers, by their tokens' hashes.
        self.viewers: dict[str, asyncpg.Record] = {}
        self.idle: list[Statements] = []
        self.connections: list[asyncpg.Connection[asyncpg.Record]] = []
        self.places = asyncio.Semaphore(CONNECTIONS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        content = message["body"]
        while message.get("more_body"):
            message = await receive()
            content += message["body"]
        status, body = await self.answer(scope, content)
        length = (b"content-length", str(len(body)).encode())
        start = {"type": "http.response.start", "status": status, "headers": [*HEADERS, length]}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    async def answer(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        asked, now = orjson.loads(content), dt.datetime.now(dt.UTC)
        token = bearer(scope)
        if not is_well_formed(token):
            return UNAUTHENTICATED, b""
        async with self.places:
            prepared = self.idle.pop() if self.idle else await self.opened()
            try:
                return await self.told(prepared, hashed(token, self.key), asked, now)
            finally:
                self.idle.append(prepared)

    async def told(
        self, prepared: Statements, name: str, asked: Any, now: dt.datetime
    ) -> tuple[int, bytes]:
        """Return the status and body for the holder of the token with this hash."""
        viewer = self.viewers.get(name) or await prepared["viewer"].fetchrow(name, now)
        if viewer is None:
            return UNAUTHENTICATED, b""
        operation = asked["operationName"]
        own = {operation: Answering(prepared[operation], viewer, name, now)}
        try:
            found = await answered(own, viewer, asked, now)
        except ViewerChanged:
            self.viewers.pop(name, None)
            return await self.told(prepared, name, asked, now)
        self.viewers[name] = viewer
        return found

    async def opened(self) -> Statements:
        connection = await asyncpg.connect(self.url, server_settings=SETTINGS)
        self.connections.append(connection)
        return {name: await connection.prepare(sql) for name, sql in STATEMENTS.items()}

    async def close(self) -> None:
        for connection in self.connections:
            await connection.close()


async def answered(
    prepared: Statements, viewer: asyncpg.Record, asked: Any, now: dt.datetime
) -> tuple[int, bytes]:
    text = await OPERATIONS[asked["operationName"]](prepared, viewer, asked["variables"], now)
    return (200, text.encode()) if text is not None else (FORBIDDEN, b"")


def bearer(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token if scheme.lower() == "bearer" else ""
    return ""


# -- the operations --------------------------------------------------------------------------------


async def billing(
    prepared: Statements, viewer: asyncpg.Record, variables: Any, now: dt.datetime
) -> str | None:
    if not may_read(viewer, ViewerKind.CLIENT, "PHI_READ"):
        return None
    text: str = await prepared["BillingPage"].fetchval(
        viewer["practice_id"],
        viewer["client_id"],
        now.astimezone(ZoneInfo(viewer["time_zone"])).date(),
        dt.date.fromisoformat(variables["range"]["gte"]),
        variables["first"],
        viewer["currency"],
    )
    return text


async def dashboard(
    prepared: Statements, viewer: asyncpg.Record, variables: Any, _: dt.datetime
) -> str | None:
    if not may_read(viewer, ViewerKind.DASHBOARD, "PHI_READ"):
        return None
    last = dt.date.fromisoformat(variables["range"]["lte"])
    text: str = await prepared["Dashboard"].fetchval(
        viewer["practice_id"], last, viewer["currency"]
    )
    return text


async def balance(
    prepared: Statements, viewer: asyncpg.Record, _: Any, __: dt.datetime
) -> str | None:
    if viewer["kind"] != ViewerKind.CLIENT:
        return None
    text: str = await prepared["Balance"].fetchval(
        viewer["practice_id"], viewer["client_id"], viewer["currency"]
    )
    return text


async def deep(
    prepared: Statements, viewer: asyncpg.Record, variables: Any, _: dt.datetime
) -> str | None:
    if viewer["kind"] != ViewerKind.CLIENT:
        return None
    text: str = await prepared["Deep"].fetchval(
        viewer["practice_id"], viewer["client_id"], variables["first"]
    )
    return text


async def counted(
    prepared: Statements, viewer: asyncpg.Record, variables: Any, _: dt.datetime
) -> str | None:
    if viewer["kind"] != ViewerKind.DASHBOARD:
        return None
    last = dt.date.fromisoformat(variables["range"]["lte"])
    text: str = await prepared["Counted"].fetchval(viewer["practice_id"], last, viewer["currency"])
    return text


async def node(
    prepared: Statements, viewer: asyncpg.Record, variables: Any, _: dt.datetime
) -> str | None:
    if viewer["kind"] != ViewerKind.CLIENT:
        return None
    invoice_id = variables["id"].removeprefix("inv_")
    text: str = await prepared["Node"].fetchval(
        viewer["practice_id"], viewer["client_id"], invoice_id, viewer["currency"]
    )
    return text


async def revenue(
    prepared: Statements, viewer: asyncpg.Record, variables: Any, _: dt.datetime
) -> str | None:
    if not may_read(viewer, ViewerKind.DASHBOARD, "AGGREGATES_READ"):
        return None
    first, last = (dt.date.fromisoformat(variables["range"][end]) for end in ("gte", "lte"))
    starts, ends = zip(*split_into_periods(first, last, Period.MONTH), strict=True)
    text: str = await prepared["Revenue"].fetchval(viewer["practice_id"], starts, ends, first, last)
    return text


OPERATIONS = {
    "BillingPage": billing,
    "Dashboard": dashboard,
    "Balance": balance,
    "Deep": deep,
    "Counted": counted,
    "Node": node,
    "Revenue": revenue,
}


def may_read(viewer: asyncpg.Record, kind: ViewerKind, scope: str) -> bool:
    return viewer["kind"] == kind and scope in json.loads(viewer["scopes"])


def served() -> HandWritten:
    """Return the application for uvicorn."""
    # As in the portal: objects of the start are never garbage.
    gc.freeze()
    return HandWritten(os.environ["DATABASE_URL"], os.environ["TOKEN_KEY"])
