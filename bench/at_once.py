"""The hand-written endpoint with the token looked up in the operation's statement.

It takes one round trip like the portal, where a usual hand-written endpoint takes two.
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench import statements
from bench.hand_written import (
    STATEMENTS,
    UNAUTHENTICATED,
    HandWritten,
    Statements,
    answered,
    started,
)

VALUE = re.compile(r"\$(\d+)")


def at_once(sql: str) -> str:
    """Return the statement together with the lookup of the token, whose two values come last."""
    last = max(int(number) for number in VALUE.findall(sql))
    viewer = VALUE.sub(lambda match: f"${int(match[1]) + last}", statements.VIEWER)
    return f"SELECT viewer.*, ({sql}) FROM ({viewer}) viewer"  # noqa: S608


SQL = {name: sql if name == "viewer" else at_once(sql) for name, sql in STATEMENTS.items()}


class Changed(Exception):
    """The token's viewer has changed."""


@dataclass(frozen=True)
class Beside:
    """A prepared statement that looks up the viewer again in addition to the text."""

    prepared: Any
    viewer: asyncpg.Record
    name: str
    now: dt.datetime

    async def fetchval(self, *values: Any) -> str | None:
        row = await self.prepared.fetchrow(*values, self.name, self.now)
        if row is None or tuple(row)[:-1] != tuple(self.viewer):
            raise Changed
        text: str | None = row[-1]
        return text


class AtOnce(HandWritten):
    """Endpoint that caches the viewer of a token, for the statement that checks it again."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key, SQL)
        self.bearers: dict[str, asyncpg.Record] = {}

    async def told(
        self, prepared: Statements, name: str, asked: Any, now: dt.datetime
    ) -> tuple[int, bytes]:
        viewer = self.bearers.pop(name, None) or await prepared["viewer"].fetchrow(name, now)
        if viewer is None:
            return UNAUTHENTICATED, b""
        operation = asked["operationName"]
        own = {operation: Beside(prepared[operation], viewer, name, now)}
        try:
            found = await answered(own, viewer, asked, now)
        except Changed:
            return await self.told(prepared, name, asked, now)
        self.bearers[name] = viewer
        return found


def served() -> HandWritten:
    """Return the application for uvicorn."""
    return started(AtOnce)
