"""The processing of a request, from its text through all checks to the response."""

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any
from weakref import ref

import strawberry
from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, OperationType

from billing.documents.links import Signer
from billing.payments.context import Till
from billing.payments.status import SANDBOX, Online
from execution.anonymous import PLANS as STRANGERS_PLANS
from execution.anonymous import Strangers
from execution.authentication import Bearer, Bearers
from execution.executor import Plans
from execution.introspection import Introspection
from execution.preparation import Preparation
from execution.prepared_operation import Readied
from execution.read_audit import NOTHING, ReadAuditLog, RequestReads, actor
from execution.read_audit_rules import looks, operation_name, reads_of
from execution.refusal_events import scopes_lacked, tell_limits, tell_scopes, telling_budget
from execution.request_cache import Answered, Repeats
from execution.row_cost import RowCosts
from execution.scopes import needed, scopes_required
from identity.sign_in.context import Door
from identity.viewer import NOBODY, Viewer
from models.database import SERVER, Reads
from planner import fallback_executor
from planner.fallback_executor import Answer, error_answer
from planner.operation import (
    Errors,
    Operation,
    validate_operation,
)
from planner.sources import MutationField, source_of
from planner.validation_rules import RULES, Rules
from resolvers.mutations.result import Acting, Recognise

Reading = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Request:
    """The GraphQL document that a client sends, with its variables and operation name."""

    query: str
    operation_name: str | None
    variables: Mapping[str, Any]
    # The raw body of the HTTP request; None for requests that the server makes itself.
    body: bytes | None = None
    # The context in which a query, but not a mutation, is awaited: a query may be canceled.
    reading: Reading = nullcontext


# Dependencies of signing in: the sign-in service, and lookups of the bearer of a new token, by the
# token's text and by its id.
Entrance = tuple[Door, Recognise, Recognise]


class Graph:
    """The schema over one database. Answers requests and caches documents and plans."""

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
        self.schema = schema
        self.till, self.entrance, self.record = till, entrance, record
        self.plans = Plans(schema, reads, signer, online)
        core, ready = schema._schema, self.ready
        self.preparation = Preparation(core, self.plans.apart, ready, introspection)
        apart = Plans(schema, reads, signer, online, STRANGERS_PLANS)
        self.strangers = Strangers(core, apart, ready, open_to_all(core), introspection)
        self.row_costs = RowCosts(core, reads)
        self.repeats = Repeats(self.plans, bearers, self.row_costs) if bearers else None

    async def answer(
        self,
        request: Request,
        viewer: Viewer | None,
        now: dt.datetime,
        address_hash: str | None = None,
    ) -> Answer:
        """Return the response to a viewer, or to a request without a token (None); `now` is UTC."""
        with telling_budget(viewer, address_hash):
            if viewer is None:
                async with self.strangers.place(address_hash):
                    answer = await self.answer_to_stranger(request, now, address_hash)
            else:
                answer = await self.answer_to_viewer(request, viewer, now, address_hash)
        tell_limits(answer.errors, viewer, address_hash)
        return answer

    async def answer_to_viewer(
        self, request: Request, viewer: Viewer, now: dt.datetime, address_hash: str | None
    ) -> Answer:
        ready = await self.preparation.prepared(
            request.query, request.operation_name, request.variables, viewer
        )
        if not isinstance(ready, Readied):
            return error_answer(ready)
        operation, variables = ready.operation, request.variables
        if lacking := ready.needed.lacking(
            self.schema._schema, operation, variables, viewer.scopes
        ):
            tell_scopes(lacking, viewer, address_hash)
            if self.record:
                in_vain = scopes_lacked(self.reads_of(ready, request.variables), lacking)
                await self.record.read(viewer, in_vain, b"", address_hash, now)
            return error_answer(scopes_required(lacking))
        scans = self.row_costs.scans(ready, request.variables, viewer)
        if costly := await self.row_costs.refuse(scans, viewer):
            return error_answer(costly)
        changes = ready.operation.node.operation is OperationType.MUTATION
        acting = self.acting(viewer, ready, now, address_hash) if changes else None
        with nullcontext() if changes else request.reading():
            answer = await self.plans.answer(operation, variables, viewer, now, acting)
        reads = self.reads_of(ready, request.variables) if answer.has_data else None
        if self.record and reads:
            # The audit entry of a change also names the fields that were read.
            changed = frozenset(acting.till.by.changed) if acting and acting.till.by else NOTHING
            await self.record.read(viewer, reads, answer.body, address_hash, now, changed)
        if self.repeats and request.body and answer.planned and not changes:
            answered = Answered(answer.planned, ref(ready), reads, scans)
            self.repeats.keep(request.body, viewer, answered)
        return answer

    async def answer_to_stranger(
        self, request: Request, now: dt.datetime, address_hash: str | None
    ) -> Answer:
        """Return the response to a request without a token.

        Raise Unauthenticated if the request needs a token.
        """
        ready = await self.strangers.prepared(
            request.query, request.operation_name, request.variables, address_hash
        )
        if not isinstance(ready, Readied):
            return error_answer(ready)
        operation, variables, plans = ready.operation, request.variables, self.strangers.plans
        if ready.operation.node.operation is OperationType.MUTATION:
            acting = self.acting(None, ready, now, address_hash)
            return await plans.answer(operation, variables, NOBODY, now, acting)
        return await plans.apart(
            SERVER, fallback_executor.execute, self.schema._schema, operation, variables, None
        )

    async def again(
        self,
        body: bytes,
        bearer: Bearer,
        now: dt.datetime,
        address_hash: str | None,
        reading: Reading = nullcontext,
    ) -> bytes | None:
        """Return the response to a repeated request; None if it needs full processing."""
        with reading(), telling_budget(bearer.viewer, address_hash):
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
        """Return the context of a mutation; None if this server accepts no mutations."""
        if self.till is None or self.entrance is None:
            return None
        name = operation_name(ready.operation)
        fields = ready.reads.fields if ready.reads else ()
        by = actor(viewer, name, fields, address_hash) if viewer else None
        till = replace(self.till, by=by)
        door, recognise, holder = self.entrance
        return Acting(
            viewer=viewer or NOBODY,
            now=now,
            till=till,
            door=door,
            recognise=recognise,
            holder=holder,
            address_hash=address_hash,
            payments=self.plans.online,
        )

    def ready(
        self, document: DocumentNode, node: OperationDefinitionNode, rules: Rules = RULES
    ) -> Readied | Errors:
        schema = self.schema._schema
        operation = validate_operation(schema, document, node, rules)
        if not isinstance(operation, Operation):
            return operation
        return Readied(operation, needed(schema, operation), looks(schema, operation))


def open_to_all(schema: GraphQLSchema) -> frozenset[str]:
    """Return the names of the mutations that need no token."""
    root = schema.mutation_type
    sources = {name: source_of(field) for name, field in root.fields.items()} if root else {}
    return frozenset(
        name
        for name, source in sources.items()
        if isinstance(source, MutationField) and source.is_public
    )
