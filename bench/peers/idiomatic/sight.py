"""Viewers and their visible rows: every statement is run through `Sight`."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from graphql import GraphQLError
from sqlalchemy import ColumnElement, Row, Select, bindparam, select

from bench.peers.idiomatic.database import Reading
from identity.token_keys import hashed
from identity.tokens import IDLE, is_valid_token, is_well_formed
from models import Practice, Scope, Token, ViewerKind
from models.row import ID, Instant

# Parameters that `Sight` gives each statement.
PRACTICE_ID = bindparam("practice_id", type_=ID)
SUBJECT_ID = bindparam("subject_id", type_=ID)

LOOK_UP = (
    select(
        Token.kind,
        Token.practice_id,
        Token.client_id,
        Token.scopes,
        Practice.currency,
        Practice.time_zone,
    )
    .join(Practice, Practice.id == Token.practice_id)
    .where(
        Token.hash == bindparam("hash"),
        Token.kind != ViewerKind.CONTACT,
        is_valid_token(
            Token.__table__,
            bindparam("now", type_=Instant()),
            bindparam("idle_since", type_=Instant()),
        ),
    )
)


@dataclass(frozen=True)
class Viewer:
    """The holder of a token: a client, or (without one) a dashboard of the practice."""

    kind: ViewerKind
    practice_id: str
    client_id: str | None
    scopes: frozenset[str]
    currency: str
    time_zone: str

    def needs(self, scope: Scope) -> None:
        if scope not in self.scopes:
            raise GraphQLError(f"the token lacks {scope.written}")

    def today(self, now: dt.datetime) -> dt.date:
        return now.astimezone(ZoneInfo(self.time_zone)).date()


async def viewer(reading: Reading, key: str, token: str, now: dt.datetime) -> Viewer | None:
    """Return the viewer of a valid token, which is looked up on each request."""
    if not is_well_formed(token):
        return None
    values = {"hash": hashed(token, key), "now": now, "idle_since": now - IDLE}
    for kind, practice_id, client_id, scopes, *rest in await reading.rows(LOOK_UP, values):
        return Viewer(kind, practice_id, client_id, frozenset(scopes), *rest)
    return None


class Sight:
    """The database as visible to one viewer."""

    def __init__(self, reading: Reading, viewer: Viewer) -> None:
        self.reading, self.viewer = reading, viewer
        self.own = {"practice_id": viewer.practice_id, "subject_id": viewer.client_id}

    async def rows(
        self, statement: Select[*tuple[Any, ...]], **values: Any
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        return await self.reading.rows(statement, self.own | values)

    async def entities(self, statement: Select[Any], **values: Any) -> Sequence[Any]:
        return await self.reading.entities(statement, self.own | values)


def seen(model: Any, kind: ViewerKind) -> list[ColumnElement[bool]]:
    """Return the conditions on rows with a client: a client sees its own, and only shared
    documents.
    """
    conditions = [model.practice_id == PRACTICE_ID]
    if kind is ViewerKind.CLIENT:
        conditions.append(model.client_id == SUBJECT_ID)
        if hasattr(model, "shared_at"):
            conditions.append(model.shared_at.is_not(None))
    return conditions
