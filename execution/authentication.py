"""Look-up of the viewer that a token belongs to, on each request.

The last result for a token is cached as a guess. The next statement verifies the guess and reads
its data at the same time. This saves a round trip; if the guess was wrong, the result is discarded.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Date, Dialect, Select, Text, and_, case, cast, func, null, or_, select
from sqlalchemy.types import TypeEngine

from billing.practices import check_zone
from execution.bounded_queue import BoundedQueue
from identity.data_versions import versions_of
from identity.token_keys import TokenKeys
from identity.token_usage import TokenUsage
from identity.tokens import IDLE, has_address, is_valid_token, is_well_formed
from identity.viewer import Viewer
from models import ContactRight, DataScope, Practice, Scope, Token, ViewerKind
from models.database import SERVER, Reads, Statement, TransientError
from models.literals import constant
from models.request_facts import note_viewer
from models.row import ID, Instant
from planner.cache import FairCache
from planner.deferred import Deferred, bind
from planner.plan import Plan, compile_plan

REMEMBERED = 10_000
# Look-ups of unknown tokens: running, in total, and the longest wait in seconds.
LOOKED_UP_AT_ONCE, LOOKED_UP, WAIT_S = 4, 500, 5
# The last time zone's offset from UTC: no practice has an earlier day than that zone.
LAST_ZONE = dt.timedelta(hours=-12)


@dataclass(frozen=True)
class PresentedToken:
    """A token's id or its hashes, one for each key, and the time of the request."""

    names: Sequence[str]
    now: dt.datetime


@dataclass(frozen=True)
class CachedSession:
    """The viewer found at the last look-up of a token, with the token's hash and the row found."""

    name: str
    row: Sequence[Any]
    viewer: Viewer


class ViewerChanged(TransientError):
    """A request was prepared for the last known viewer of its token, who has changed since."""


class Authenticator:
    """Looks up viewers by their tokens: in a statement of its own, or together with a read."""

    def __init__(
        self, reads: Reads, keys: TokenKeys, token_usage: TokenUsage | None = None
    ) -> None:
        self.reads, self.keys, self.uses = reads, keys, token_usage
        self.by_hash = statement_by_hash(reads.dialect, len(keys.each))
        self.by_id, self.again = token_statements(reads.dialect)
        self.versioned = version_statements(reads.dialect)
        self.last: FairCache[bytes, CachedSession] = FairCache(REMEMBERED)
        # Limits look-ups of invalid tokens, which anybody can send.
        self.unknown = BoundedQueue(
            at_once=LOOKED_UP_AT_ONCE, most=LOOKED_UP, most_of_one=LOOKED_UP, wait_s=WAIT_S
        )

    async def viewer(self, token: str, now: dt.datetime) -> Viewer | None:
        """Return the bearer of a token that is known, not revoked, not expired and not idle."""
        session = await self.session(token, now)
        return session.viewer if session else None

    async def session(self, token: str, now: dt.datetime) -> CachedSession | None:
        """Look up the bearer of a token, and cache the result."""
        if not is_well_formed(token):
            return None
        names, key = self.keys.hashes(token), digest(token)
        is_known = self.last.recall(key) is not None
        self.last.forget(key)
        async with nullcontext() if is_known else self.unknown.place(""):
            found = await self.row(self.by_hash, names, now)
        if found is None:
            return None
        name, row = found[0], tuple(found[1:])
        viewer = self.viewer_in_row(row, now)
        if name != names[0] and self.uses is not None:
            self.uses.replace_hash(viewer.practice_id, viewer.token_id, name, names[0])
        return self.last.keep(key, CachedSession(name, row, viewer))

    def cached_session(self, token: str) -> CachedSession | None:
        """Return the bearer found at the last look-up of the token, if cached."""
        return self.last.recall(digest(token))

    async def authenticate_with(
        self, session: CachedSession, asked: Statement, now: dt.datetime
    ) -> Any:
        """Return the result of a statement, run together with the token's look-up.

        Raise ViewerChanged if the token is no longer valid, or if the viewer has other rights.
        """
        plan = self.again[session.viewer.kind]
        look_up = plan.sql, self.values(plan, [session.name], now)
        row = await self.reads.row_and_value(look_up, asked, session.viewer.caller)
        return self.checked(session, row, now)[0]

    async def versions(
        self, session: CachedSession, scope: DataScope, now: dt.datetime
    ) -> str | None:
        """Return the versions of the viewer's data, looked up together with the token.

        Raise ViewerChanged as `authenticate_with` does.
        """
        plan = self.versioned[session.viewer.kind, scope]
        values = self.values(plan, [session.name], now)
        row = await self.reads.row(plan.sql, values, session.viewer.caller)
        (versions,) = self.checked(session, row, now)
        return None if versions is None else str(versions)

    async def read_with_versions(
        self, session: CachedSession, scope: DataScope, asked: Statement, now: dt.datetime
    ) -> tuple[str | None, Any]:
        """Return the versions of the viewer's data and the result of a statement, both as of one
        moment.

        Raise ViewerChanged as `authenticate_with` does.
        """
        plan = self.versioned[session.viewer.kind, scope]
        look_up = plan.sql, self.values(plan, [session.name], now)
        row = await self.reads.row_and_value(look_up, asked, session.viewer.caller)
        versions, value = self.checked(session, row, now)
        return versions, value

    def checked(
        self, session: CachedSession, row: Sequence[Any] | None, now: dt.datetime
    ) -> Sequence[Any]:
        """Return the columns that follow the viewer's in a row. Record the use of the token."""
        known = len(session.row)
        if row is None or row[:known] != session.row:
            raise ViewerChanged("the viewer of the token has changed")
        self.note_use(session.viewer, now)
        return row[known:]

    async def by_token_id(self, token_id: str, now: dt.datetime) -> Viewer | None:
        """Return the bearer of the token with this id, while the token is valid."""
        row = await self.row(self.by_id, [token_id], now)
        return self.viewer_in_row(row, now) if row else None

    async def row(self, plan: Plan, names: Sequence[str], now: dt.datetime) -> Sequence[Any] | None:
        return await self.reads.row(plan.sql, self.values(plan, names, now), SERVER)

    def values(self, plan: Plan, names: Sequence[str], now: dt.datetime) -> list[Any]:
        return plan.values(PresentedToken(names, now))

    def viewer_in_row(self, row: Sequence[Any], now: dt.datetime) -> Viewer:
        """Return the viewer in a row, and record the use of the token."""
        viewer = viewer_of(*row)
        self.note_use(viewer, now)
        return viewer

    def note_use(self, viewer: Viewer, now: dt.datetime) -> None:
        note_viewer(viewer.kind)
        if self.uses is not None:
            self.uses.note(viewer.practice_id, viewer.token_id, now)


def digest(token: str) -> bytes:
    """Return the cache key of a token, so that the token itself is not stored."""
    return hashlib.sha256(token.encode()).digest()


def from_token(read: Callable[[PresentedToken], Any]) -> Deferred[Any]:
    """Return a value of the presented token."""
    return Deferred(read)


@cache
def token_statements(dialect: Dialect) -> tuple[Plan, Mapping[ViewerKind, Plan]]:
    """Return the statements that find a token: by its id, and by its stored hash for one kind of
    viewer. They are compiled once in a process.
    """
    again = {
        kind: compile_plan(token_statement("hash", [name_at(0, Text())], kind), dialect)
        for kind in ViewerKind
    }
    return compile_plan(token_statement("id", [name_at(0, ID)]), dialect), again


@cache
def statement_by_hash(dialect: Dialect, key_count: int) -> Plan:
    """Return the statement that finds a token by its hash with any of the keys. Its row begins with
    the stored hash.
    """
    names = [name_at(index, Text()) for index in range(key_count)]
    return compile_plan(token_statement("hash", names, with_hash=True), dialect)


@cache
def version_statements(dialect: Dialect) -> Mapping[tuple[ViewerKind, DataScope], Plan]:
    """Return the statements that find a token by its stored hash, with the versions of data.

    Their last column has the versions that the viewer's answers depend on, or NULL if the data has
    none yet.
    """
    return {
        (kind, scope): compile_plan(
            token_statement("hash", [name_at(0, Text())], kind, scope=scope), dialect
        )
        for kind in ViewerKind
        for scope in DataScope
    }


def name_at(index: int, type_: TypeEngine[str]) -> Any:
    return bind(from_token(lambda presented: presented.names[index]), type_)


def token_statement(
    column: str,
    names: Sequence[Any],
    kind: ViewerKind | None = None,
    *,
    with_hash: bool = False,
    scope: DataScope | None = None,
) -> Select[Any]:
    """Return the statement that finds a valid token, for one kind of viewer if given."""
    now = bind(from_token(lambda presented: presented.now), Instant())
    idle_since = bind(from_token(lambda presented: presented.now - IDLE), Instant())
    token, practice = Token.__table__.alias("token"), Practice.__table__.alias("practice")
    statement: Select[Any] = (
        select(
            *([token.c.hash] if with_hash else []),
            token.c.kind,
            cast(token.c.practice_id, Text),
            cast(token.c.id, Text),
            cast(func.coalesce(token.c.client_id, token.c.contact_id), Text),
            sole_client(token, kind),
            cast(token.c.scopes, Text),
            practice.c.currency,
            practice.c.time_zone,
            token.c.expires_at,
            token.c.is_sign_in,
            token.c.email,
            *([versions_of(token, kind, scope)] if kind and scope else []),
        )
        .join_from(token, practice, practice.c.id == token.c.practice_id)
        .where(
            token.c[column].in_(names) if len(names) > 1 else token.c[column] == names[0],
            is_valid_token(token, now, idle_since),
            has_address(token, kind),
        )
    )
    if kind is not None:
        statement = statement.where(token.c.kind == constant(kind))
    return statement


def sole_client(token: Any, kind: ViewerKind | None) -> Any:
    """Return the only client of a client or contact, or null."""
    of_kind = {
        ViewerKind.CLIENT: cast(token.c.client_id, Text),
        ViewerKind.CONTACT: only_client(token),
        ViewerKind.DASHBOARD: cast(null(), Text),
        ViewerKind.INTEGRATION: cast(null(), Text),
    }
    if kind is not None:
        return of_kind[kind]
    return case(*((token.c.kind == constant(kind), found) for kind, found in of_kind.items()))


def only_client(token: Any) -> Any:
    """Return the client of a contact with exactly one client.

    The practice's day is not known yet, so a right that has ended there counts until its last day
    is over in every time zone. That grants nothing: the client is a default for requests that name
    none, and their statements compare with the practice's day.
    """
    day = from_token(lambda presented: (presented.now + LAST_ZONE).date())
    right = ContactRight.__table__.alias("contact_right")
    client_id = cast(right.c.client_id, Text)
    only = case((func.count() == constant(1), func.min(client_id)))
    condition = and_(
        right.c.practice_id == token.c.practice_id,
        right.c.contact_id == token.c.contact_id,
        or_(right.c.until.is_(None), right.c.until >= bind(day, Date())),
    )
    statement: Select[Any] = select(only).select_from(right).where(condition).correlate(token)
    return statement.scalar_subquery()


# Caches the meaning of a row, not its existence.
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
    expires_at: str | dt.datetime,
    is_sign_in: bool,
    email: str | None,
) -> Viewer:
    """Return the viewer that a row describes.

    Raise PracticeMisconfigured if the time zone is unknown. The exception is not cached, so a
    corrected time zone takes effect at once.
    """
    check_zone(practice_id, time_zone)
    return Viewer(
        ViewerKind(kind),
        practice_id,
        token_id,
        subject_id,
        sole_client_id,
        frozenset(Scope(scope) for scope in json.loads(scopes)),
        currency,
        time_zone,
        parse_time(expires_at),
        bool(is_sign_in),
        email,
    )


def parse_time(kept: str | dt.datetime) -> dt.datetime:
    """Return a time from the database's driver. SQLite's driver returns text without a zone."""
    if isinstance(kept, str):
        return dt.datetime.fromisoformat(kept).replace(tzinfo=dt.UTC)
    return kept
