"""The way of a request: from its text, through what turns it away, to its answer."""

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any
from weakref import ref

import strawberry
from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, OperationType

from billing.documents.links import Signer
from billing.payments import SANDBOX, Online
from billing.till import Till
from graph.card_numbers import card_number
from graph.limits import REMEMBERED, Key, Limits, length, too_long
from graph.looks import looks, operation_name, reads_of
from graph.readied import Readied
from graph.repeats import Answered, Repeats
from graph.scopes import needed, scopes_required
from identity.door import Door
from models.database import Reads
from resolvers.bearers import Bearer, Bearers
from resolvers.outcomes import Acting, Recognise
from resolvers.planner import reference
from resolvers.planner.operation import (
    Errors,
    Operation,
    named,
    parsed,
    refusal,
    root_fields,
    understood,
)
from resolvers.planner.plans import Plans, Recent
from resolvers.planner.reference import Answer, refused
from resolvers.planner.sources import Mutated, source_of
from resolvers.record import NOTHING, ReadAuditLog, RequestReads, actor
from resolvers.viewer import NOBODY, Viewer

INTROSPECTION = frozenset({"__schema", "__type"})


class Introspection(enum.StrEnum):
    """Who may ask what the schema is."""

    EVERYONE = "everyone"
    VIEWERS = "viewers"
    NOBODY = "nobody"


Reading = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Request:
    """What a client sends: the GraphQL document and what goes with it."""

    query: str
    operation_name: str | None
    variables: Mapping[str, Any]
    # What it was read from, if it came by itself.
    body: bytes | None = None
    # What a read, unlike a change, is awaited in: it may be cancelled there.
    reading: Reading = nullcontext


# What signing in needs: the door, and who recognises the bearer of a new token.
Entrance = tuple[Door, Recognise]


class Unauthenticated(Exception):
    """Only a viewer may ask this."""


class Graph:
    """The schema over one database: answers requests, and remembers documents and plans."""

    def __init__(
        self,
        schema: strawberry.Schema,
        reads: Reads,
        introspection: Introspection,
        signer: Signer,
        till: Till | None = None,
        online: Online = SANDBOX,
        entrance: Entrance | None = None,
        record: ReadAuditLog | None = None,
        bearers: Bearers | None = None,
    ) -> None:
        self.schema, self.introspection = schema, introspection
        self.till, self.entrance, self.record = till, entrance, record
        self.open_to_all = open_to_all(schema._schema)
        self.plans = Plans(schema, reads, signer, online)
        self.limits = Limits(schema._schema)
        self.documents: Recent[str, DocumentNode | Errors] = Recent(
            REMEMBERED, lambda query, _: length((query, None))
        )
        self.readied: Recent[Key, Readied | Errors] = Recent(REMEMBERED, length)
        self.repeats = Repeats(self.plans, bearers) if bearers else None

    async def answer(
        self,
        request: Request,
        viewer: Viewer | None,
        now: dt.datetime,
        address_hash: str | None = None,
    ) -> Answer:
        """The response to a request of a viewer, or of nobody (None); `now` is in UTC."""
        if long := too_long(request.query):
            return refused(long)
        document = self.documents.get(request.query, lambda: parsed(request.query))
        if not isinstance(document, DocumentNode):
            return refused(document)
        node = named(document, request.operation_name)
        if not isinstance(node, OperationDefinitionNode):
            return refused(node)
        changes = node.operation is OperationType.MUTATION
        closed = root_fields(document, node) - (self.open_to_all if changes else set())
        if turned_away := self.unwelcome(closed, viewer):
            return refused(turned_away)
        if changes and (card := card_number(document, request.variables)):
            return refused(card)
        key = (request.query, request.operation_name)
        if too_large := self.limits.refuse(key, document, node, request.variables):
            return refused(too_large)
        ready = await self.readied.awaited(
            key, lambda: self.plans.apart(self.ready, document, node)
        )
        if not isinstance(ready, Readied):
            return refused(ready)
        if viewer is None and not changes:
            schema = self.schema._schema
            given = (schema, ready.operation, request.variables, None)
            return await self.plans.apart(reference.executed, *given)
        asked = ready.operation, request.variables
        if viewer is not None:
            lacking = ready.needed.lacking(self.schema._schema, *asked, viewer.scopes)
            if lacking:
                return refused(scopes_required(lacking))
        acting = self.acting(viewer, ready, now, address_hash) if changes else None
        with nullcontext() if changes else request.reading():
            answer = await self.plans.answer(*asked, viewer or NOBODY, now, acting)
        reads = self.reads_of(ready, request.variables) if viewer and answer.has_data else None
        if self.record and viewer and reads:
            # An entry of a change names the fields that were read of it, too.
            changed = frozenset(acting.till.by.changed) if acting and acting.till.by else NOTHING
            await self.record.read(viewer, reads, answer.body, address_hash, now, changed)
        if self.repeats and viewer and request.body and answer.planned and not changes:
            answered = Answered(answer.planned, ref(ready), reads)
            self.repeats.keep(request.body, viewer, answered)
        return answer

    async def again(
        self,
        body: bytes,
        bearer: Bearer,
        now: dt.datetime,
        address_hash: str | None,
        reading: Reading = nullcontext,
    ) -> bytes | None:
        """The response to what was asked before, if nothing has to be done but to read."""
        with reading():
            found = await self.repeats.answer(body, bearer, now) if self.repeats else None
        if found is None:
            return None
        text, reads = found
        if self.record and reads:
            await self.record.read(bearer.viewer, reads, text, address_hash, now)
        return text

    def reads_of(self, ready: Readied, variables: Mapping[str, Any]) -> RequestReads | None:
        """Return the personal data that a request with these variables reads."""
        if ready.reads is None:
            return None
        return reads_of(self.schema._schema, ready.reads, ready.operation, variables)

    def acting(
        self, viewer: Viewer | None, ready: Readied, now: dt.datetime, address_hash: str | None
    ) -> Acting | None:
        """Who changes something, where anything can be changed."""
        if self.till is None or self.entrance is None:
            return None
        name = operation_name(ready.operation)
        fields = ready.reads.fields if ready.reads else ()
        by = actor(viewer, name, fields, address_hash) if viewer else None
        till = replace(self.till, by=by)
        return Acting(viewer or NOBODY, now, till, *self.entrance, address_hash, self.plans.online)

    def unwelcome(self, asked: set[str], viewer: Viewer | None) -> Errors:
        """Why the root's fields, those that are open to all left out, are not for this viewer."""
        introspects = not asked.isdisjoint(INTROSPECTION)
        if viewer is None and asked - INTROSPECTION - {"__typename"}:
            raise Unauthenticated
        if introspects and self.introspection is Introspection.NOBODY:
            return [refusal("INTROSPECTION_OFF", "this server doesn't tell its schema")]
        if introspects and viewer is None and self.introspection is Introspection.VIEWERS:
            raise Unauthenticated
        return []

    def ready(self, document: DocumentNode, node: OperationDefinitionNode) -> Readied | Errors:
        schema = self.schema._schema
        operation = understood(schema, document, node)
        if not isinstance(operation, Operation):
            return operation
        return Readied(operation, needed(schema, operation), looks(schema, operation))


def open_to_all(schema: GraphQLSchema) -> frozenset[str]:
    """The mutations that somebody without a token may ask."""
    root = schema.mutation_type
    sources = {name: source_of(field) for name, field in root.fields.items()} if root else {}
    return frozenset(
        name for name, source in sources.items() if isinstance(source, Mutated) and source.by_nobody
    )
