"""The audit log of reads.

A request enqueues its reads, and a background task writes the queue in transactions of many reads.
A few hundred reads may be answered before they are written. Further reads wait for the log and are
refused after a timeout, so that no answered read is lost unnoticed.
"""

import asyncio
import datetime as dt
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import audit_log
from billing.audit_log import Actor, Entry
from billing.background import wait_for_event
from billing.security_events import SIGHT_REFUSED
from execution.read_owners import OWN, Question, ReadOwners
from execution.selected_fields import SelectedField
from identity.viewer import Viewer
from identity.viewer_events import viewer_event_fields
from models import AccessAction, ActorKind
from models.database import TransientError, every_practice
from planner.pagination import UUID
from resolvers.nodes import FOUND

# Ids in reads that are answered but not written yet.
MOST = 500
# Seconds that a read waits in the queue, that a retry waits after a failure, and that the log lets
# other writers proceed between two transactions.
WRITTEN_EVERY_S, AGAIN_AFTER_S, PAUSE_S = 0.9, 0.1, 0.01
# Seconds that the end of the process waits for the database.
LAST_S = 10.0
# Ids listed in an entry.
MOST_LISTED = 50
# Ids of personal data.
PERSONAL_ID = re.compile(f"({'|'.join(FOUND.keys() - {'pra', 'cln'})})_{UUID.pattern}")
# Errors caused by a read itself, which a retry would not avoid.
AT_FAULT = (DataError, IntegrityError, LookupError, TypeError, ValueError)
NOTHING: frozenset[Any] = frozenset()

log = logging.getLogger("portal")


class Unwritten(Exception):
    """A read that could not be recorded in time and is therefore not answered."""


@dataclass(frozen=True)
class ReadScope:
    """The personal data that an operation requests, regardless of its variables.

    `by_id` are fields with ids as arguments. `practice_wide` are fields over all clients that the
    viewer sees. `lists_own_clients` says that the operation requests the viewer's clients.
    """

    name: str | None
    fields: tuple[str, ...]
    by_id: tuple[SelectedField, ...] = ()
    practice_wide: tuple[SelectedField, ...] = ()
    lists_own_clients: bool = False


@dataclass(frozen=True)
class RequestReads:
    """The personal data that one request reads.

    `ids` are ids of personal data. `of_all` says that the request reads data of all clients that
    the viewer sees; `arguments` are then those of the fields over the whole practice. `of_sole`
    says that an optional id was omitted, which means the viewer's only client. `refused` says that
    nothing was read because a scope was missing.
    """

    name: str | None
    fields: tuple[str, ...]
    ids: frozenset[str] = NOTHING
    of_all: bool = False
    of_sole: bool = False
    arguments: str | None = None
    refused: bool = False

    @property
    def is_of_somebody(self) -> bool:
        return self.of_all or self.of_sole or bool(self.ids)


@dataclass(eq=False)
class PendingRead:
    """A read that is not written yet. If it is `admitted`, it may be answered before."""

    viewer: Viewer
    reads: RequestReads
    actor: Actor
    at: dt.datetime
    count: int | None = None
    # Clients for whom the same operation has recorded a change.
    changed: frozenset[str | None] = NOTHING
    admitted: bool = False
    waiting: int = 0
    written: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def weight(self) -> int:
        return max(len(self.reads.ids), 1)

    def questions(self) -> Iterator[Question]:
        """Yield the look-ups that find the clients with the data read."""
        for id_ in self.reads.ids:
            yield self.question(id_)
        if self.reads.of_all and not self.viewer.kind.is_program:
            yield self.question(OWN)
        if self.reads.of_sole and self.viewer.sole_client_id:
            yield self.question(f"cli_{self.viewer.sole_client_id}")

    def question(self, id_: str) -> Question:
        return Question(self.viewer, self.viewer.day(self.at), id_)

    def unseen(self, owners: Mapping[Question, set[str]]) -> list[str]:
        """Return the ids that are not visible to the viewer, unless the read was refused anyway."""
        if self.reads.refused:
            return []
        return sorted(id_ for id_ in self.reads.ids if not owners[self.question(id_)])

    def entries(self, owners: Mapping[Question, set[str]]) -> Iterator[Entry]:
        """Yield an entry for each client, for the whole practice, and for refused ids."""
        viewer, reads, by = self.viewer, self.reads, self.actor
        done = AccessAction.REFUSED if reads.refused else AccessAction.READ
        clients = set().union(*(owners[question] for question in self.questions()))
        for client_id in sorted(clients - self.changed):
            yield by.entry(self.at, client_id, done)
        is_whole = reads.of_all and viewer.kind.is_program
        if is_whole or (reads.refused and not clients):
            told = {"arguments": reads.arguments, "count": self.count}
            yield by.entry(self.at, None, done, **told)
        if unseen := self.unseen(owners):
            listed = json.dumps({"ids": unseen[:MOST_LISTED]})
            more = {"arguments": listed, "count": len(unseen)}
            yield by.entry(self.at, None, AccessAction.REFUSED, **more)


def actor(
    viewer: Viewer, name: str | None, fields: tuple[str, ...], address_hash: str | None
) -> Actor:
    """Return the viewer as the actor of an operation with this name."""
    return Actor(
        practice_id=viewer.practice_id,
        kind=ActorKind(viewer.kind),
        token_id=viewer.token_id,
        actor_id=viewer.subject_id,
        operation=name,
        fields=fields,
        address_hash=address_hash,
    )


async def record_at_once(
    engine: AsyncEngine, viewer: Viewer, reads: RequestReads, by: Actor, at: dt.datetime
) -> None:
    """Record a single read: that of the operator, with the viewer's visibility."""
    read = PendingRead(viewer, reads, by, at)
    async with engine.begin() as conn:
        owners = await ReadOwners(engine.dialect).find(conn, read.questions())
        await audit_log.write_entries(conn, list(read.entries(owners)))


def emit_sight_refused(read: PendingRead, count: int) -> None:
    viewer = viewer_event_fields(read.viewer, read.actor.address_hash)
    SIGHT_REFUSED.emit(**viewer, fields=read.reads.fields, count=count)


class ReadAuditLog:
    """The queue of reads, and the task that writes it.

    `patience_s` is the time that a read waits to be written if too many reads are waiting.
    """

    def __init__(self, engine: AsyncEngine, patience_s: float) -> None:
        self.engine, self.patience_s = engine, patience_s
        self.owners = ReadOwners(engine.dialect)
        self.pending: dict[object, PendingRead] = {}
        # Ids in reads that are admitted but not written yet.
        self.unwritten = 0
        self.writing = asyncio.Lock()
        self.is_due, self.is_over = asyncio.Event(), False
        # The error of the last batch, if it failed.
        self.failure: Exception | None = None

    # -- in requests -------------------------------------------------------------------------------

    async def read(
        self,
        viewer: Viewer,
        reads: RequestReads,
        answer: bytes,
        address_hash: str | None,
        at: dt.datetime,
        changed: frozenset[str | None] = NOTHING,
    ) -> None:
        """Record the data in a response. An identical read in the queue is merged with it."""
        if not reads.is_of_somebody:
            return
        key = viewer.token_id, viewer.subject_id, address_hash, reads, changed
        read = self.pending.get(key)
        if read is None:
            # Each row of the practice's lists is a line of the response.
            count = answer.count(b"\n") if reads.arguments is not None else None
            by = actor(viewer, reads.name, reads.fields, address_hash)
            read = PendingRead(viewer, reads, by, at, count, changed)
            self.enqueue(key, read)
        if not read.admitted:
            await self.until_written(key, read)

    def enqueue(self, key: object, read: PendingRead) -> None:
        self.pending[key] = read
        if self.unwritten + read.weight <= MOST:
            read.admitted = True
            self.unwritten += read.weight
        if self.unwritten > MOST // 2:
            self.is_due.set()

    async def until_written(self, key: object, read: PendingRead) -> None:
        """Wait until a read is written that may not be answered before."""
        self.is_due.set()
        read.waiting += 1
        try:
            async with asyncio.timeout(self.patience_s):
                await read.written.wait()
        except TimeoutError:
            raise Unwritten("a read could not be recorded in time") from self.failure
        finally:
            read.waiting -= 1
            # Without a response, nothing was read.
            if not read.waiting and self.pending.get(key) is read:
                del self.pending[key]

    # -- in the background -------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write the queue regularly, and completely at the end."""
        task = asyncio.create_task(self.write_regularly())
        try:
            yield
        finally:
            self.is_over = True
            self.is_due.set()
            await task

    async def write_regularly(self) -> None:
        while not self.is_over:
            await wait_for_event(self.is_due, WRITTEN_EVERY_S)
            self.is_due.clear()
            await asyncio.sleep(PAUSE_S if await self.is_flushed() else AGAIN_AFTER_S)
        await self.write_the_last()

    async def write_the_last(self) -> None:
        """Write the rest of the queue when the process ends, for at most LAST_S."""
        until = asyncio.get_running_loop().time() + LAST_S
        while not await self.is_flushed():
            if asyncio.get_running_loop().time() > until:
                log.error("%d reads were answered and could not be recorded", len(self.pending))
                return
            await asyncio.sleep(AGAIN_AFTER_S)

    async def is_flushed(self) -> bool:
        """Write the queue. Return whether that succeeded."""
        try:
            await self.flush()
        except Exception as error:
            if self.failure is None:
                is_known = isinstance(error, TransientError)
                log.warning("reads can't be recorded: %s", error, exc_info=not is_known)
            self.failure = error
            return False
        self.failure = None
        return True

    async def flush(self) -> None:
        """Write all queued reads. Reads that cannot be written stay in the queue."""
        async with self.writing:
            batch = dict(self.pending)
            if batch:
                await self.write_or_part([*batch.values()])
            for key, read in batch.items():
                read.written.set()
                self.unwritten -= read.weight if read.admitted else 0
                # A read without waiting requests may have been removed in the meantime.
                if self.pending.get(key) is read:
                    del self.pending[key]

    async def write_or_part(self, batch: Sequence[PendingRead]) -> None:
        """Write reads together. If one is at fault, write each separately and report that one."""
        try:
            await self.write(batch)
        except AT_FAULT:
            if len(batch) == 1:
                reads = batch[0].reads
                log.exception(
                    "a read of token %s can't be recorded: %s %s",
                    batch[0].viewer.token_id,
                    reads.fields,
                    sorted(reads.ids),
                )
                return
            for read in batch:
                await self.write_or_part([read])

    async def write(self, batch: Sequence[PendingRead]) -> None:
        """Write reads in one transaction."""
        async with every_practice(self.engine) as conn:
            questions = (question for read in batch for question in read.questions())
            owners = await self.owners.find(conn, questions)
            entries = [entry for read in batch for entry in read.entries(owners)]
            # Ids generated at the same time are not ordered.
            ids = sorted(entry["id"] for entry in entries)
            ordered = (entry | {"id": id_} for entry, id_ in zip(entries, ids, strict=True))
            await audit_log.write_entries(conn, list(ordered))
        for read in batch:
            if unseen := read.unseen(owners):
                emit_sight_refused(read, len(unseen))
