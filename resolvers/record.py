"""The record of access, as far as it is of reads: noted with each request, written for many.

A request only notes what it has at hand, and what is asked again meanwhile is one read. Whose the
ids are that somebody asked for is found out when notes are written, by the same eyes; what was out
of sight was not read, and isn't recorded.
"""

import asyncio
import datetime as dt
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLSchema, get_argument_values
from graphql.execution.values import VariableValues
from sqlalchemy import Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import access
from billing.access import Actor, Entry
from models import ContactRight, ViewerKind
from models.database import DatabaseBusy, Reads, TransientError
from models.row import ID
from resolvers.ids import bare
from resolvers.nodes import FOUND
from resolvers.planner.later import Asked, Later, bound
from resolvers.planner.operation import Operation, coerced
from resolvers.planner.paging import UUID
from resolvers.planner.plan import Plan, compiled
from resolvers.sight import Sight
from resolvers.viewer import Viewer

# So many notes may wait; whoever comes next waits until they are written.
MOST = 5_000
# Characters of an operation's name, and of variables that are told.
LONGEST_NAME, LONGEST_ARGUMENTS = 200, 2_000
# Of variables that wait with their note; longer ones are written at once.
LONGEST_KEPT = 10_000
# Ids of somebody's data.
NAMED = re.compile(f"({'|'.join(FOUND.keys() - {'pra', 'cln'})})_{UUID.pattern}")


@dataclass(frozen=True)
class Looks:
    """What an operation looks at. `fields` are coordinates of somebody's data; `by_id` the fields
    whose arguments say whose it is; `is_wide`: over the whole practice; `is_own`: of the clients
    that the viewer looks after."""

    fields: tuple[str, ...]
    by_id: tuple[tuple[str, FieldNode], ...] = ()
    is_wide: bool = False
    is_own: bool = False


@dataclass(frozen=True)
class Note:
    """A read: by an operation with its variables (`asked`), of which `shown` says how many rows of
    the practice's lists it gave; or of what has these `ids`, by something of this `name`."""

    viewer: Viewer
    looks: Looks
    address_hash: str | None
    at: dt.datetime
    asked: tuple[Operation, Mapping[str, Any]] | None = None
    shown: int | None = None
    ids: frozenset[str] = frozenset()
    name: str | None = None

    @property
    def actor(self) -> Actor:
        name = operation_name(self.asked[0]) if self.asked else self.name
        return actor(self.viewer, name, self.looks, self.address_hash)


def operation_name(operation: Operation) -> str | None:
    name = operation.node.name
    return name.value[:LONGEST_NAME] if name else None


def actor(viewer: Viewer, name: str | None, looks: Looks | None, address_hash: str | None) -> Actor:
    """Who is at work, by an operation of this name."""
    fields = looks.fields if looks else ()
    return Actor(viewer.practice_id, viewer.token_id, name, fields, address_hash)


class Unwritten(Exception):
    """Notes could not be written."""


@dataclass
class Record:
    """Notes that wait to be written, each within a second or so."""

    schema: GraphQLSchema
    reads: Reads
    engine: AsyncEngine
    notes: dict[object, Note] = field(default_factory=dict)
    plans: dict[Any, Plan] = field(default_factory=dict)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Why notes could not be written the last time that they couldn't.
    failed: Exception | None = None

    async def read(
        self,
        viewer: Viewer,
        looks: Looks,
        asked: tuple[Operation, Mapping[str, Any]],
        answer: bytes,
        address_hash: str | None,
        at: dt.datetime,
    ) -> None:
        """Notes an operation that was answered, unless it waits to be written already."""
        is_own = viewer.kind is ViewerKind.CLIENT
        variables = None if is_own else repr(asked[1])
        key = viewer.token_id, asked[0].name, address_hash, variables
        if key in self.notes:
            return
        # Each row of the practice's lists is a line of the answer.
        shown = answer.count(b"\n") if looks.is_wide else None
        # A client's own reads are theirs, whatever their variables say.
        told = (asked[0], {}) if is_own else asked
        await self.note(key, Note(viewer, looks, address_hash, at, told, shown))
        if variables and len(variables) > LONGEST_KEPT:
            await self.flushed(lambda: key not in self.notes)

    async def note(self, key: object, note: Note) -> None:
        """A read that can't be noted fails, and so isn't answered."""
        if len(self.notes) >= MOST:
            await self.flushed(lambda: len(self.notes) < MOST)
        self.notes[key] = note

    async def flushed(self, is_enough: Callable[[], bool]) -> None:
        """Write notes; what fails is nobody's matter where enough of them were written."""
        try:
            await self.flush()
        except (TransientError, Unwritten):
            if not is_enough():
                raise

    async def flush(self) -> None:
        """Writes all notes that wait, also those that are being written meanwhile; what can't be
        written now is kept."""
        failed = self.failed
        async with self.writing:
            # Who waited for a failure has their answer.
            if self.failed is not failed:
                raise Unwritten from self.failed
            try:
                await self.write()
            except Exception as error:
                self.failed = error
                raise

    async def write(self) -> None:
        """Write all notes in one transaction; where that waits too long, those of each client
        apart, so that one whose row is locked keeps nobody else's from being written."""
        notes, self.notes = self.notes, {}
        try:
            entries = {
                key: [entry async for entry in self.entries(note)] for key, note in notes.items()
            }
            try:
                await self.insert(entries)
            except DatabaseBusy:
                for part in by_clients(entries):
                    with suppress(DatabaseBusy):
                        await self.insert(part)
                        notes = {key: note for key, note in notes.items() if key not in part}
                if notes:
                    raise
        except BaseException:
            self.notes = notes | self.notes
            raise

    async def insert(self, entries: Mapping[object, Sequence[Entry]]) -> None:
        """Write the entries of some notes in one transaction."""
        written = [entry for of_note in entries.values() for entry in of_note]
        # Ids of one moment are in no order of their own.
        ids = sorted(entry["id"] for entry in written)
        written = [entry | {"id": id_} for entry, id_ in zip(written, ids, strict=True)]
        if written:
            async with self.engine.begin() as rows:
                await access.write(rows, written)

    async def entries(self, note: Note) -> AsyncIterator[Entry]:
        """One for each client whose data was read, and one for a read of the whole practice."""
        for client_id in sorted(await self.clients(note)):
            yield note.actor.entry(note.at, client_id, is_change=False)
        if note.looks.is_wide and note.viewer.kind is ViewerKind.DASHBOARD and note.asked:
            told = json.dumps(note.asked[1], ensure_ascii=False)[:LONGEST_ARGUMENTS]
            entry = note.actor.entry(note.at, None, is_change=False)
            yield entry | {"arguments": told, "count": note.shown}

    async def clients(self, note: Note) -> set[str]:
        """Whose data was read."""
        viewer, looks = note.viewer, note.looks
        if viewer.kind is ViewerKind.CLIENT:
            return {viewer.sole_client_id} if viewer.sole_client_id else set()
        ids, found = {*note.ids, *named_in(self.schema, note)}, set[str]()
        if looks.by_id and not ids and viewer.sole_client_id:
            found.add(viewer.sole_client_id)
        if viewer.kind is ViewerKind.CONTACT and (looks.is_own or looks.is_wide):
            found |= await self.owners(note, "own", "")
        for id_ in ids:
            found |= await self.owners(note, id_.partition("_")[0], bare(id_))
        return found

    async def owners(self, note: Note, kind: str, id_: str) -> set[str]:
        """The client of what has this id, if it is in sight; of `own`, all whom a contact sees."""
        plan = self.plan(kind, note.viewer.kind)
        asked = Asked(note.viewer, note.at, {"id": id_})
        row = await self.reads.row(plan.sql, plan.values(asked))
        return set(row[0].split(",")) if row and row[0] else set()

    def plan(self, kind: str, viewer: ViewerKind) -> Plan:
        key = kind, viewer
        if key not in self.plans:
            made = wards if kind == "own" else owner
            self.plans[key] = made(kind, viewer, self.reads)
        return self.plans[key]


def by_clients(
    entries: Mapping[object, Sequence[Entry]],
) -> list[dict[object, Sequence[Entry]]]:
    """Part the entries of notes by the clients that they are about."""
    parts: dict[frozenset[str | None], dict[object, Sequence[Entry]]] = {}
    for key, of_note in entries.items():
        clients = frozenset(entry["client_id"] for entry in of_note)
        parts.setdefault(clients, {})[key] = of_note
    return list(parts.values())


def named_in(schema: GraphQLSchema, note: Note) -> Iterator[str]:
    """The ids of somebody's data among the arguments that say whose it is."""
    given = coerced(schema, *note.asked) if note.asked else None
    if not isinstance(given, VariableValues):
        return
    for coordinate, node in note.looks.by_id:
        type_name, _, name = coordinate.partition(".")
        type_: Any = schema.type_map[type_name]
        try:
            arguments = get_argument_values(type_.fields[name], node, given)
        except GraphQLError:
            continue
        yield from ids_among(arguments)


def ids_among(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if NAMED.fullmatch(value):
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from ids_among(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from ids_among(inner)


def owner(kind: str, viewer: ViewerKind, reads: Reads) -> Plan:
    """Whose a thing of this kind is, for those who see it."""
    sight = Sight(viewer, digits=0, lateral=reads.dialect.name == "postgresql")
    id_ = bound(Later(lambda asked: asked.variables["id"]), ID)
    _, find = FOUND[kind]
    rows = find(id_, sight)
    column = rows.table.c.id if kind == "cli" else rows.table.c.client_id
    statement = (
        select(cast(column, Text))
        .select_from(rows.table)
        .where(*rows.where, sight.only(rows.table))
    )
    sight.check()
    return compiled(statement, reads.dialect)


def wards(_: str, viewer: ViewerKind, reads: Reads) -> Plan:
    """All clients whom a contact looks after, in one text."""
    right = ContactRight.__table__.alias()
    practice_id = bound(Later(lambda asked: asked.viewer.practice_id), ID)
    contact_id = bound(Later(lambda asked: asked.viewer.subject_id), ID)
    ids = func.aggregate_strings(cast(right.c.client_id, Text), ",")
    mine = (right.c.practice_id == practice_id, right.c.contact_id == contact_id)
    return compiled(select(ids).select_from(right).where(*mine), reads.dialect)
