"""The way of a request: from its text, through what turns it away, to its answer."""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import DocumentNode, OperationDefinitionNode, OperationType

from billing.documents.links import Signer
from billing.payments import SANDBOX, Online
from billing.till import Till
from graph.card_numbers import card_number
from graph.limits import REMEMBERED, Key, Limits, length, too_long
from graph.scopes import Needed, needed, scopes_required
from models.connections import PostgresReads, SqliteReads
from resolvers.outcomes import Acting
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
from resolvers.viewer import Viewer

INTROSPECTION = frozenset({"__schema", "__type"})


class Introspection(enum.StrEnum):
    """Who may ask what the schema is."""

    EVERYONE = "everyone"
    VIEWERS = "viewers"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Request:
    """What a client sends: the GraphQL document and what goes with it."""

    query: str
    operation_name: str | None
    variables: Mapping[str, Any]


@dataclass(frozen=True)
class Readied:
    """An operation, and the scopes that it needs."""

    operation: Operation
    needed: Needed


class Unauthenticated(Exception):
    """Only a viewer may ask this."""


class Graph:
    """The schema over one database: answers requests, and remembers documents and plans."""

    def __init__(
        self,
        schema: strawberry.Schema,
        reads: SqliteReads | PostgresReads,
        introspection: Introspection,
        signer: Signer,
        till: Till | None = None,
        online: Online = SANDBOX,
    ) -> None:
        self.schema, self.introspection, self.till = schema, introspection, till
        self.plans = Plans(schema, reads, signer, online)
        self.limits = Limits(schema._schema)
        self.documents: Recent[str, DocumentNode | Errors] = Recent(
            REMEMBERED, lambda query, _: length((query, None))
        )
        self.readied: Recent[Key, Readied | Errors] = Recent(REMEMBERED, length)

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
        if turned_away := self.unwelcome(root_fields(document, node), viewer):
            return refused(turned_away)
        changes = node.operation is OperationType.MUTATION
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
        if viewer is None:
            schema = self.schema._schema
            given = (schema, ready.operation, request.variables, None)
            return await self.plans.apart(reference.executed, *given)
        asked = (self.schema._schema, ready.operation, request.variables)
        if lacking := ready.needed.lacking(*asked, viewer.scopes):
            return refused(scopes_required(lacking))
        acting = Acting(viewer, now, self.till, address_hash) if changes and self.till else None
        return await self.plans.answer(ready.operation, request.variables, viewer, now, acting)

    def unwelcome(self, asked: set[str], viewer: Viewer | None) -> Errors:
        """Why the root's fields are not for this viewer."""
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
        return Readied(operation, needed(schema, operation))
