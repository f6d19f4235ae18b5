"""The processing of a request, from its text through all checks to the response."""

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import strawberry
from graphql import GraphQLSchema
from graphql.execution.values import VariableValues

from billing.documents.links import Signer
from billing.payments.context import PaymentContext
from billing.payments.status import SANDBOX, Online
from execution.anonymous import PLANS as STRANGERS_PLANS
from execution.anonymous import SHARE as STRANGERS_SHARE
from execution.anonymous import AnonymousRequests
from execution.answer_cache import AnswerCache
from execution.authentication import ViewerChanged
from execution.cost_report import with_cost
from execution.executor import Executor
from execution.introspection import Introspection
from execution.preparation import Preparation, prepare_operation
from execution.prepared_operation import PreparedOperation, PreparedRequest
from execution.read_audit import NOTHING, ReadAuditLog, actor
from execution.read_audit_rules import operation_name, reads_of
from execution.refusal_events import (
    emit_budget_refused,
    emit_limit_refused,
    emit_scope_refused,
    scopes_lacked,
)
from execution.request_cache import RequestCache
from execution.request_viewer import RequestViewer
from execution.row_cost import NO_SCANS, RowCosts
from execution.scopes import scopes_required
from identity.sign_in.context import SignInContext
from identity.viewer import NOBODY, Viewer
from models.database import SERVER, RateLimited, Reads
from models.request_facts import note_operation
from planner.fallback_executor import Answer, error_answer
from planner.operation import coerce_variables
from planner.sources import source_of
from resolvers.mutations.field import PortalMutation
from resolvers.mutations.result import FindViewer, MutationContext

# How often a request is prepared if its viewer changes each time.
ATTEMPTS = 3

Reading = Callable[[], AbstractContextManager[None]]


@dataclass(slots=True)
class Request:
    """The GraphQL document that a client sends, with its variables and operation name."""

    query: str
    operation_name: str | None
    variables: Mapping[str, Any]
    # The raw body of the HTTP request; None for requests that the server makes itself.
    body: bytes | None = None
    # The context in which a query, but not a mutation, is awaited: a query may be canceled.
    reading: Reading = nullcontext
    # Whether the request may be a mutation.
    may_change: bool = True
    # Whether the response tells what the operation costs.
    wants_cost: bool = False


class ChangeRefused(Exception):
    """A mutation in a request that may make no change."""


# Dependencies of signing in: the sign-in service, and lookups of the bearer of a new token, by the
# token's text and by its id.
SignInServices = tuple[SignInContext, FindViewer, FindViewer]


class GraphQLService:
    """The schema over one database. Answers requests and caches documents and plans."""

    def __init__(
        self,
        schema: strawberry.Schema,
        reads: Reads,
        introspection: Introspection,
        signer: Signer,
        payment_context: PaymentContext | None = None,
        online: Online = SANDBOX,
        sign_in: SignInServices | None = None,
        read_audit: ReadAuditLog | None = None,
        answer_cache_bytes: int = 0,
    ) -> None:
        self.schema = schema
        self.payment_context, self.sign_in, self.read_audit = payment_context, sign_in, read_audit
        self.executor = Executor(schema, reads, signer, online)
        core = schema._schema
        ready = partial(prepare_operation, core)
        self.preparation = Preparation(core, self.executor.run_in_thread, ready, introspection)
        anonymous_executor = Executor(
            schema, reads, signer, online, STRANGERS_PLANS, STRANGERS_SHARE
        )
        self.anonymous = AnonymousRequests(
            core, anonymous_executor, ready, public_mutations(core), introspection
        )
        self.row_costs = RowCosts(reads)
        self.requests = RequestCache()
        self.answers = AnswerCache(answer_cache_bytes)

    async def answer(
        self,
        request: Request,
        sender: RequestViewer | Viewer | None,
        now: dt.datetime,
        address_hash: str | None = None,
    ) -> Answer:
        """Return the response to a viewer, or to a request without a token (None); `now` is UTC.

        Raise UnknownToken if the viewer's token is not valid any more.
        """
        if isinstance(sender, Viewer):
            sender = RequestViewer(sender, self.executor.reads)
        try:
            if sender is not None:
                answer = await self.answer_verified(request, sender, now, address_hash)
            else:
                async with self.anonymous.place(address_hash):
                    answer = await self.answer_anonymously(request, now, address_hash)
        except RateLimited:
            emit_budget_refused(sender.viewer if sender else None, address_hash)
            raise
        emit_limit_refused(answer.errors, sender.viewer if sender else None, address_hash)
        return answer

    async def answer_verified(
        self, request: Request, sender: RequestViewer, now: dt.datetime, address_hash: str | None
    ) -> Answer:
        """Return the response to a viewer, prepared anew if the viewer turns out to have changed.

        No response is returned before its viewer is verified.
        """
        for _ in range(ATTEMPTS):
            try:
                answer = await self.answer_to_viewer(request, sender, now, address_hash)
                await sender.verify()
                return answer
            except ViewerChanged as error:
                changed = error
        raise changed

    async def answer_to_viewer(
        self, request: Request, sender: RequestViewer, now: dt.datetime, address_hash: str | None
    ) -> Answer:
        """Return the response for the viewer as known so far.

        Whatever changes or records anything is done after the viewer is verified.
        """
        viewer, body = sender.viewer, request.body
        ready = self.requests.recall(body, viewer) if body else None
        if ready is None:
            prepared = await self.prepare_request(request, sender, now, address_hash)
            if isinstance(prepared, Answer):
                return prepared
            ready = prepared
        note_operation(ready.prepared.label)
        if costly := await self.row_costs.refuse(ready.scans, viewer):
            return error_answer(costly)
        if ready.prepared.is_mutation:
            answer = await self.change(ready, request.variables, sender, now, address_hash)
        else:
            answer = await self.read(ready, request, sender, now, address_hash)
        if request.wants_cost and answer.has_data:
            budget = self.executor.reads.budgets.balance(viewer.caller)
            return with_cost(answer, ready.prepared, request.variables, budget)
        return answer

    async def read(
        self,
        ready: PreparedRequest,
        request: Request,
        sender: RequestViewer,
        now: dt.datetime,
        address_hash: str | None,
    ) -> Answer:
        """Return the response to a viewer's query."""
        viewer = sender.viewer
        with request.reading():
            answer = await self.executor.answer(
                ready,
                request.variables,
                viewer,
                now,
                sender.read,
                partial(self.answers.read, sender=sender),
            )
            await sender.verify()
        if self.read_audit and ready.reads and answer.has_data:
            await self.read_audit.read(viewer, ready.reads, answer.body, address_hash, now)
        if request.body and answer.planned and ready.plan is None:
            self.requests.keep(request.body, viewer, ready, answer.planned.plan)
        return answer

    async def prepare_request(
        self, request: Request, sender: RequestViewer, now: dt.datetime, address_hash: str | None
    ) -> PreparedRequest | Answer:
        """Return the request with its operation and coerced variables, or the refusal."""
        schema, viewer = self.schema._schema, sender.viewer
        prepared = await self.preparation.prepare(
            request.query, request.operation_name, request.variables, viewer
        )
        if not isinstance(prepared, PreparedOperation):
            return error_answer(prepared)
        if prepared.is_mutation and not request.may_change:
            await sender.verify()
            raise ChangeRefused
        variables = coerce_variables(schema, prepared.operation, request.variables)
        if lacking := prepared.needed.lacking(schema, variables, viewer.scopes):
            await sender.verify()
            note_operation(prepared.label)
            emit_scope_refused(lacking, viewer, address_hash)
            if self.read_audit:
                refused_reads = scopes_lacked(reads_of(prepared.reads, variables), lacking)
                await self.read_audit.read(viewer, refused_reads, b"", address_hash, now)
            return error_answer(scopes_required(lacking))
        if not isinstance(variables, VariableValues):
            note_operation(prepared.label)
            return error_answer(variables)
        reads = reads_of(prepared.reads, variables)
        scans = self.row_costs.scans(prepared, request.variables, viewer)
        return PreparedRequest(prepared, variables, reads, scans)

    async def change(
        self,
        ready: PreparedRequest,
        given: Mapping[str, Any],
        sender: RequestViewer,
        now: dt.datetime,
        address_hash: str | None,
    ) -> Answer:
        """Make the changes of a viewer's mutation, and return the response."""
        await sender.verify()
        viewer = sender.viewer
        mutation = self.mutation_context(viewer, ready.prepared, now, address_hash)
        answer = await self.executor.change(ready, given, viewer, now, mutation)
        if not (self.read_audit and ready.reads and answer.has_data):
            return answer
        reads, changed = ready.reads, NOTHING
        if mutation:
            reads = replace(reads, ids=reads.ids | mutation.read_ids)
            # The audit entry of a change also names the fields that were read.
            if mutation.payment_context.actor:
                changed = frozenset(mutation.payment_context.actor.changed)
        await self.read_audit.read(viewer, reads, answer.body, address_hash, now, changed)
        return answer

    async def answer_anonymously(
        self, request: Request, now: dt.datetime, address_hash: str | None
    ) -> Answer:
        """Return the response to a request without a token.

        Raise Unauthenticated if the request needs a token.
        """
        schema, given = self.schema._schema, request.variables
        prepared = await self.anonymous.prepare(
            request.query, request.operation_name, given, address_hash
        )
        if not isinstance(prepared, PreparedOperation):
            return error_answer(prepared)
        note_operation(prepared.label)
        operation, executor = prepared.operation, self.anonymous.executor
        if prepared.is_mutation and not request.may_change:
            raise ChangeRefused
        if not prepared.is_mutation:
            return await executor.run_in_thread(
                SERVER, executor.run_fallback, operation, given, None
            )
        variables = coerce_variables(schema, operation, given)
        if not isinstance(variables, VariableValues):
            return error_answer(variables)
        ready = PreparedRequest(prepared, variables, reads=None, scans=NO_SCANS)
        mutation = self.mutation_context(None, prepared, now, address_hash)
        return await executor.change(ready, given, NOBODY, now, mutation)

    def mutation_context(
        self,
        viewer: Viewer | None,
        prepared: PreparedOperation,
        now: dt.datetime,
        address_hash: str | None,
    ) -> MutationContext | None:
        """Return the context of a mutation; None if this server accepts no mutations."""
        if self.payment_context is None or self.sign_in is None:
            return None
        name = operation_name(prepared.operation)
        fields = prepared.reads.fields if prepared.reads else ()
        by = actor(viewer, name, fields, address_hash) if viewer else None
        payment_context = replace(self.payment_context, actor=by)
        context, recognise, holder = self.sign_in
        return MutationContext(
            viewer=viewer or NOBODY,
            now=now,
            payment_context=payment_context,
            sign_in_context=context,
            viewer_of_token=recognise,
            viewer_of_token_id=holder,
            address_hash=address_hash,
            online=self.executor.online,
        )


def public_mutations(schema: GraphQLSchema) -> frozenset[str]:
    """Return the names of the mutations that need no token."""
    root = schema.mutation_type
    sources = {name: source_of(field) for name, field in root.fields.items()} if root else {}
    return frozenset(
        name
        for name, source in sources.items()
        if isinstance(source, PortalMutation) and source.is_public
    )
