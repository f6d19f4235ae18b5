"""Who bears a token: it is looked up to find the viewer, with each request."""

import datetime as dt
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, Select, Text, and_, case, cast, func, select
from sqlalchemy.types import TypeEngine

from identity.tokens import IDLE, hashed, is_written_right, works
from identity.uses import Uses
from models import ContactRight, Practice, Scope, Token, ViewerKind
from models.connections import PostgresReads, SqliteReads
from models.literals import constant
from models.row import ID, Instant
from resolvers.planner.later import Later, bound
from resolvers.planner.plans import Plan, compiled
from resolvers.planner.texts import instant
from resolvers.viewer import Viewer

REMEMBERED = 1_000


@dataclass(frozen=True)
class Presented:
    """A token's hash, or its id, and when it is shown."""

    name: str
    now: dt.datetime


class Bearers:
    """Looks up viewers by their tokens: one statement, on each request."""

    def __init__(
        self, reads: SqliteReads | PostgresReads, key: str, uses: Uses | None = None
    ) -> None:
        self.reads, self.key, self.uses = reads, key, uses
        self.by_hash = look_up(reads.dialect, "hash", Text())
        self.by_id = look_up(reads.dialect, "id", ID)

    async def viewer(self, token: str, now: dt.datetime) -> Viewer | None:
        """The bearer of a token that is known, not revoked, not expired and not idle."""
        if not is_written_right(token):
            return None
        return await self.found(self.by_hash, hashed(token, self.key), now)

    async def holder(self, token_id: str, now: dt.datetime) -> Viewer | None:
        """Who bears the token of an id, while it works."""
        return await self.found(self.by_id, token_id, now)

    async def found(self, plan: Plan, name: str, now: dt.datetime) -> Viewer | None:
        presented: Any = Presented(name, now)
        row = await self.reads.row(plan.sql, plan.values(presented))
        viewer = viewer_of(*row) if row else None
        if self.uses is not None and viewer is not None:
            self.uses.note(viewer.practice_id, viewer.token_id, now)
        return viewer


def look_up(dialect: Dialect, column: str, type_: TypeEngine[str]) -> Plan:
    """A token that works, by a column of its own."""
    name = bound(Later(lambda p: p.name), type_)  # type: ignore[attr-defined]
    now = bound(Later(lambda p: p.now), Instant())
    idle_since = bound(Later(lambda p: p.now - IDLE), Instant())
    token, practice = Token.__table__.alias("token"), Practice.__table__.alias("practice")
    statement = (
        select(
            token.c.kind,
            cast(token.c.practice_id, Text),
            cast(token.c.id, Text),
            cast(func.coalesce(token.c.client_id, token.c.contact_id), Text),
            case(
                (token.c.kind == constant(ViewerKind.CLIENT), cast(token.c.client_id, Text)),
                (token.c.kind == constant(ViewerKind.CONTACT), sole_client(token)),
            ),
            cast(token.c.scopes, Text),
            practice.c.currency,
            practice.c.time_zone,
            instant(token.c.expires_at),
            token.c.is_sign_in,
        )
        .join_from(token, practice, practice.c.id == token.c.practice_id)
        .where(token.c[column] == name, works(token, now, idle_since))
    )
    return compiled(statement, dialect)


def sole_client(token: Any) -> Any:
    """The client of a contact who is linked to just one."""
    right = ContactRight.__table__.alias("contact_right")
    client_id = cast(right.c.client_id, Text)
    only = case((func.count() == constant(1), func.min(client_id)))
    mine = and_(
        right.c.practice_id == token.c.practice_id, right.c.contact_id == token.c.contact_id
    )
    found: Select[Any] = select(only).select_from(right).where(mine).correlate(token)
    return found.scalar_subquery()


# What is remembered is what a row means, never that there is one.
@lru_cache(REMEMBERED)
def viewer_of(
    kind: str,
    practice_id: str,
    token_id: str,
    subject_id: str | None,
    sole_client_id: str | None,
    scopes: str,
    currency: str,
    time_zone: str,
    expires_at: str,
    is_sign_in: bool,
) -> Viewer:
    return Viewer(
        ViewerKind(kind),
        practice_id,
        token_id,
        subject_id,
        sole_client_id,
        frozenset(Scope(scope) for scope in json.loads(scopes)),
        currency,
        time_zone,
        dt.datetime.fromisoformat(expires_at),
        bool(is_sign_in),
    )
