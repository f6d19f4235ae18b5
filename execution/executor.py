"""A cache of plans, and the choice between a plan and the reference executor for each request."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, TypeVar

import orjson
import strawberry
from graphql import GraphQLError
from graphql.execution.values import VariableValues
from sqlalchemy import Dialect

from billing.documents.links import Signer
from billing.money import currency_digits
from billing.payments.status import SANDBOX, Online
from execution.answer_cache import answer_bytes
from execution.planning_thread import SHARE, PlanningThread
from execution.prepared_operation import PreparedOperation, PreparedRequest
from identity.viewer import Viewer
from models.database import (
    Caller,
    DatabaseBusy,
    Reads,
    Statement,
    StatementTooDeep,
    within_practice,
)
from models.measures import CACHE_LOOKUPS, MUTATIONS
from models.request_facts import request_id
from planner import fallback_executor, literal_results, preflight
from planner.builder import MutationCall, TreeBuilder
from planner.cache import FairCache
from planner.deferred import (
    FieldError,
    MaybeDeferred,
    Unplannable,
    placeholders,
    variable_shape,
)
from planner.emitter import Outcomes, emit
from planner.fallback_executor import Answer, error_answer
from planner.operation import Errors, Operation, graphql_error, with_code
from planner.plan import ExecutedPlan, Plan, compile_plan
from planner.selection import Selection, fragments_of
from planner.tree import OperationPlan
from resolvers.data_scope import data_scope
from resolvers.days import TODAY
from resolvers.ids import id_prefix
from resolvers.mutations.field import check_together
from resolvers.mutations.result import MutationContext, Outcome, database_busy
from resolvers.request_context import RequestContext
from resolvers.visibility import Visibility

V = TypeVar("V")
# Runs a statement, and returns its value.
Read = Callable[[Statement], Awaitable[Any]]
# Returns the bytes of a plan's answer, given its parameters; None where a null must not be.
ReadPlan = Callable[[Plan, Sequence[Any]], Awaitable[bytes | None]]

# Characters of SQL: about a thousand pages, or a hundred of the widest statements.
PLANS = 2**24
# Shapes of one document: each Boolean, enum or optional variable doubles their number.
SHAPES_A_DOCUMENT = 64


def plan_weight(plan: Plan | None) -> int:
    """Return the weight of a plan in the cache. Operations without a plan are cached too."""
    return 1_000 + (len(plan.sql) if plan else 0)


def outcome_types(outcomes: Mapping[str, Outcome | FieldError]) -> dict[str, str | FieldError]:
    return {
        key: outcome.type if isinstance(outcome, Outcome) else outcome
        for key, outcome in outcomes.items()
    }


async def run_mutations(
    calls: Sequence[MutationCall], mutation: MutationContext
) -> dict[str, Outcome | FieldError]:
    """Execute the fields of a mutation one after another, and return their results.

    Nothing is done twice: if the connection to the database is lost, the request fails, and a retry
    uses the same key. The request also fails if the database was too busy for every field.
    """
    outcomes: dict[str, Outcome | FieldError] = {}
    delays: list[DatabaseBusy] = []
    for call in calls:
        try:
            outcome: Outcome | FieldError = await call.run(mutation)
        except FieldError as refusal:
            outcome = refusal
        except DatabaseBusy as error:
            outcome = database_busy()
            delays.append(error)
        outcomes[call.response_key] = outcome
        result = outcome.type if isinstance(outcome, Outcome) else outcome.code
        MUTATIONS.add(call.node.name.value, result)
    if calls and len(delays) == len(calls):
        raise delays[0]
    return outcomes


def result_viewer(outcomes: Mapping[str, Outcome | FieldError]) -> Viewer | None:
    """Return the viewer that the results are read as, if it is not the viewer of the request."""
    viewers = (outcome.viewer for outcome in outcomes.values() if isinstance(outcome, Outcome))
    return next((viewer for viewer in viewers if viewer is not None), None)


def tree_builder(
    schema: strawberry.Schema, operation: Operation, variable_values: VariableValues
) -> TreeBuilder:
    selection = Selection(schema._schema, fragments_of(operation.document), variable_values)
    return TreeBuilder(schema, selection)


def plan_tree(
    schema: strawberry.Schema, operation: Operation, variable_values: VariableValues
) -> OperationPlan:
    """Return the plan tree of an operation for all variables of the same shapes."""
    symbols = placeholders(operation.types, variable_values, id_prefix)
    return tree_builder(schema, operation, symbols).operation(operation.node)


def compile_operation(
    schema: strawberry.Schema,
    operation: Operation,
    variable_values: VariableValues,
    visible: Visibility,
    dialect: Dialect,
    outcomes: Outcomes | None = None,
) -> Plan | None:
    """Return the plan for these shapes of variables, or None if there is none."""
    try:
        tree = plan_tree(schema, operation, variable_values)
        emitted = emit(tree, visible, outcomes=outcomes)
        plan = compile_plan(emitted.statement, dialect, emitted.unread)
        return replace(plan, scope=data_scope(visible, plan.sql))
    except (Unplannable, FieldError):
        return None


def visibility_of(
    viewer: Viewer, dialect: Dialect, today: MaybeDeferred[dt.date] = TODAY
) -> Visibility:
    """Return the visibility of rows for one statement of a viewer of this kind."""
    return Visibility(
        viewer.kind,
        digits=currency_digits(viewer.currency),
        lateral=dialect.name == "postgresql",
        has_sole_client=has_sole_client(viewer),
        today=today,
    )


def plan_key(
    operation: Operation,
    variable_values: VariableValues,
    viewer: Viewer,
    came_to: Mapping[str, str | FieldError],
) -> tuple[Any, ...]:
    """Return everything that a plan of the operation depends on."""
    shapes = tuple(
        (n, variable_shape(operation.types[n], v, id_prefix))
        for n, v in variable_values.coerced.items()
    )
    own = (viewer.kind, has_sole_client(viewer), currency_digits(viewer.currency))
    return (*own, repr(shapes), tuple(came_to.items()))


def has_sole_client(viewer: Viewer) -> bool:
    return viewer.sole_client_id is not None


class Executor:
    """The plans for one schema and one database. New ones are made in a thread for a `share` of the
    time."""

    def __init__(
        self,
        schema: Any,
        reads: Reads,
        signer: Signer,
        online: Online = SANDBOX,
        most: int = PLANS,
        share: float = SHARE,
    ) -> None:
        self.schema, self.reads, self.signer, self.online = schema, reads, signer, online
        self.plans: FairCache[Any, Plan | None] = FairCache(most, lambda _, plan: plan_weight(plan))
        self.share = share

    @cached_property
    def planning(self) -> PlanningThread:
        return PlanningThread(self.reads.budgets, self.share)

    async def run_in_thread(self, caller: Caller, work: Callable[..., V], *given: Any) -> V:
        """Run work that would block the event loop."""
        return await self.planning.run(caller, work, *given)

    def answer(
        self,
        request: PreparedRequest,
        given: Mapping[str, Any],
        viewer: Viewer,
        now: dt.datetime,
        read: Read,
        read_plan: ReadPlan | None = None,
    ) -> Awaitable[Answer]:
        """Return the response to a query with these variables. `read` runs its statement, unless
        `read_plan` has the answer of its plan.
        """
        context = RequestContext(viewer, now, request.variables.coerced, self.online, self.signer)
        return self.answer_by_statement(request, given, context, read, read_plan)

    async def change(
        self,
        request: PreparedRequest,
        given: Mapping[str, Any],
        viewer: Viewer,
        now: dt.datetime,
        mutation: MutationContext | None,
    ) -> Answer:
        """Return the response to a mutation. All changes are made before the results are read.

        Without a context, no change is made, and the results are read as if there were none.
        """
        operation, variables = request.prepared.operation, request.variables
        outcomes: Mapping[str, Outcome | FieldError] = {}
        if mutation:
            calls, errors = await self.mutation_calls(request.prepared, variables, mutation.viewer)
            if errors:
                return error_answer(errors)
            # Checked before the change: afterwards, its result is read regardless of the budget.
            self.reads.budgets.check(viewer.caller)
            with within_practice(mutation.viewer.practice_id):
                outcomes = await run_mutations(calls, mutation)
        reader = result_viewer(outcomes) or viewer
        context = RequestContext(reader, now, variables.coerced, self.online, self.signer, outcomes)
        if outcomes and (results := self.results_without_query(operation, variables, context)):
            return Answer(results, True, is_change=True)
        read = partial(self.read_for, context.caller)
        answer = await self.answer_by_statement(request, given, context, read)
        return replace(answer, is_change=True)

    async def answer_by_statement(
        self,
        request: PreparedRequest,
        given: Mapping[str, Any],
        context: RequestContext,
        read: Read,
        read_plan: ReadPlan | None = None,
    ) -> Answer:
        """Return the value of one statement, or the result of the reference executor."""
        operation, variables = request.prepared.operation, request.variables
        try:
            bound_plan = await self.bind_plan(operation, variables, context, request.plan)
            if bound_plan:
                plan, values = bound_plan
                if read_plan is None:
                    body = answer_bytes(await read((plan.sql, values)))
                else:
                    body = await read_plan(plan, values)
                if body is not None:
                    return Answer(body, True, ExecutedPlan(plan, variables.coerced))
            return await self.answer_exactly(operation, variables, given, context, read)
        except (StatementTooDeep, RecursionError):
            return error_answer(
                [graphql_error("TOO_DEEP", "nested too deeply: request fewer levels at a time")]
            )

    async def read_for(self, caller: Caller, statement: Statement) -> Any:
        """Return the value of a statement that is run for this caller."""
        return await self.reads.value(*statement, caller)

    def results_without_query(
        self, operation: Operation, variable_values: VariableValues, context: RequestContext
    ) -> bytes | None:
        """Return the results of a mutation as JSON if their values suffice, otherwise None."""
        selection = Selection(
            self.schema._schema, fragments_of(operation.document), variable_values
        )
        return literal_results.write_results(operation.node, selection, context.outcomes, context)

    async def mutation_calls(
        self, prepared: PreparedOperation, variable_values: VariableValues, viewer: Viewer
    ) -> tuple[Sequence[MutationCall], Errors]:
        """Return the actions of a mutation's fields, and the errors that refuse all of them."""
        builder = tree_builder(self.schema, prepared.operation, variable_values)
        try:
            calls = list(builder.mutation_calls(prepared.operation.node))
        except GraphQLError as error:
            return [], [with_code(error, "BAD_USER_INPUT")]
        errors = check_together(calls)
        if errors or not prepared.reads_conditionally:
            return calls, errors
        return calls, await self.run_in_thread(
            viewer.caller, self.foresee_results, prepared.operation, variable_values, viewer
        )

    def foresee_results(
        self, operation: Operation, variable_values: VariableValues, viewer: Viewer
    ) -> Errors:
        """Return the errors that reading the results of a mutation would cause."""
        try:
            tree = tree_builder(self.schema, operation, variable_values).operation(operation.node)
        except Unplannable:
            return []
        return preflight.foresee_results(
            tree, lambda types: emit(tree, self.visibility(viewer), exact=True, outcomes=types)
        )

    async def bind_plan(
        self,
        operation: Operation,
        variable_values: VariableValues,
        context: RequestContext,
        known: Plan | None = None,
    ) -> tuple[Plan, list[Any]] | None:
        """Return the plan and its parameter values, or None if the reference executor is needed."""
        plan = known or await self.plan(operation, variable_values, context)
        try:
            return (plan, plan.values(context)) if plan else None
        except FieldError:
            return None

    async def plan(
        self, operation: Operation, variable_values: VariableValues, context: RequestContext
    ) -> Plan | None:
        """Return the plan for the shapes of these variables.

        The plan is cached, unless the document already has too many shapes.
        """
        viewer, came_to = context.viewer, outcome_types(context.outcomes)
        if any(isinstance(type_, FieldError) for type_ in came_to.values()):
            return None
        key = plan_key(operation, variable_values, viewer, came_to)
        make = partial(
            self.run_in_thread,
            context.caller,
            self.compile,
            operation,
            variable_values,
            viewer,
            came_to,
        )
        if key not in operation.shapes:
            if len(operation.shapes) >= SHAPES_A_DOCUMENT:
                return await make()
            operation.shapes.add(key)
        own_key = operation.name, key
        CACHE_LOOKUPS.add("plans", "hit" if own_key in self.plans.items else "miss")
        return await self.plans.awaited(own_key, make, viewer.owner)

    def plan_ahead(
        self, operation: Operation, variable_values: VariableValues, viewer: Viewer
    ) -> None:
        """Plan a query for all variables of these shapes and viewers of this kind, and keep the
        plan for good, if there is one.
        """
        key = plan_key(operation, variable_values, viewer, {})
        if key in operation.shapes:
            return
        if plan := self.compile(operation, variable_values, viewer):
            operation.shapes.add(key)
            self.plans.pin((operation.name, key), plan)

    def compile(
        self,
        operation: Operation,
        variable_values: VariableValues,
        viewer: Viewer,
        outcomes: Outcomes | None = None,
    ) -> Plan | None:
        visible, dialect = self.visibility(viewer), self.reads.dialect
        return compile_operation(
            self.schema, operation, variable_values, visible, dialect, outcomes
        )

    def visibility(self, viewer: Viewer, today: MaybeDeferred[dt.date] = TODAY) -> Visibility:
        """Return the visibility of rows for one statement of a viewer of this kind."""
        return visibility_of(viewer, self.reads.dialect, today)

    async def answer_exactly(
        self,
        operation: Operation,
        variable_values: VariableValues,
        variables: Mapping[str, Any],
        context: RequestContext,
        read: Read,
    ) -> Answer:
        """Return the reference executor's response. One statement reads all rows for it."""
        plan = await self.run_in_thread(
            context.caller, self.compile_exact, operation, variable_values, context
        )
        text = await read((plan.sql, plan.values(context))) if plan else None
        return await self.run_in_thread(
            context.caller, self.run_fallback, operation, variables, text
        )

    def compile_exact(
        self, operation: Operation, variable_values: VariableValues, context: RequestContext
    ) -> Plan | None:
        came_to, today = outcome_types(context.outcomes), context.today
        try:
            tree = tree_builder(self.schema, operation, variable_values).operation(operation.node)
            visible = self.visibility(context.viewer, today)
            emitted = emit(tree, visible, exact=True, outcomes=came_to)
            return compile_plan(emitted.statement, self.reads.dialect)
        except Unplannable:
            return None

    def run_fallback(
        self, operation: Operation, variables: Mapping[str, Any], text: str | None
    ) -> Answer:
        root = orjson.loads(text)["data"] if text else None
        return fallback_executor.execute(
            self.schema._schema, operation, variables, root, request_id()
        )
