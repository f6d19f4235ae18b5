"""The second step of the planner: a plan tree becomes one SELECT that returns the response as JSON.

The emitter calls the source of each field with its row, in the order of the tree. The pieces of
text are joined from the leaves up.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError
from sqlalchemy import ColumnElement, FromClause, Select, case, func, select

from planner.builder import located_error
from planner.deferred import FieldError, Unplannable
from planner.json_text import (
    Concatenation,
    InnerColumns,
    Piece,
    hoist_subqueries,
    json_list,
    leaf,
    literal_text,
    or_null,
    or_violation,
)
from planner.outcome import OutcomeRow
from planner.pagination import Page
from planner.policy import RowPolicy
from planner.query_scope import QueryScope, select_page, select_rows
from planner.sources import LateralSubquery, Rows, ViewerField
from planner.sql_text import comma_separated, number_literal
from planner.tables import as_column, as_columns
from planner.tree import (
    ConnectionPlan,
    EmbeddedListPlan,
    EmbeddedPlan,
    FieldPlan,
    LeafPlan,
    NodeListPlan,
    NodePlan,
    ObjectPlan,
    OperationPlan,
    PageFactPlan,
    PageItemsPlan,
    RefusalPlan,
    ResolverPlan,
    ResultPlan,
    RowListPlan,
    RowPlan,
    TypeNamePlan,
)

# The result type or the refusal of each mutation field, by response key.
Outcomes = Mapping[str, str | FieldError]


@dataclass(frozen=True)
class Emitted:
    """The SELECT for the whole response.

    `unread` are SELECTs omitted from the statement, with arguments that still have to be checked.
    `refusals` are the errors that the reference executor will report, if the statement is exact.
    """

    statement: Select[Any]
    unread: Sequence[Select[Any]]
    refusals: Sequence[GraphQLError]


def emit(
    operation: OperationPlan,
    policy: RowPolicy,
    *,
    exact: bool = False,
    outcomes: Outcomes | None = None,
) -> Emitted:
    """Return the statement of a plan tree for one kind of viewer and one database.

    `exact` is for the reference executor: refusals and unexpected nulls are written into the result
    to be reported. Without it, a refusal makes the operation Unplannable, and a null makes its
    result void. `outcomes` are those of a mutation's fields.
    """
    emitter = Emitter(policy, exact=exact, outcomes=outcomes or {})
    data = emitter.object(operation.root, QueryScope(None, (), ([],)))
    statement = select(Concatenation(['{"data":', data, "}"]))
    policy.check(statement)
    return Emitted(statement, emitter.unread, emitter.refusals)


class Emitter:
    """The emitter of one statement. It collects the SELECTs and errors that are not part of it."""

    def __init__(self, policy: RowPolicy, *, exact: bool, outcomes: Outcomes) -> None:
        self.policy, self.exact, self.outcomes = policy, exact, outcomes
        self.unread: list[Select[Any]] = []
        self.refusals: list[GraphQLError] = []

    # -- objects and fields ------------------------------------------------------------------------

    def object(self, plan: ObjectPlan, scope: QueryScope) -> Concatenation:
        """Return the text of an object, which is never NULL."""
        if plan.refusal is not None:
            self.refuse(plan.refusal)
        pieces: list[Piece] = [f'{{"$type":"{plan.type_name}"'] if self.exact else ["{"]
        for field in plan.fields:
            if self.exact and isinstance(field.value, ResolverPlan | TypeNamePlan):
                continue  # the reference executor resolves it
            comma = "" if pieces == ["{"] else ","
            pieces += [f'{comma}"{field.key}":', self.field(field, scope)]
        return Concatenation([*pieces, "}"])

    def field(self, field: FieldPlan, scope: QueryScope) -> ColumnElement[str]:
        try:
            return self.value(field, scope)
        except FieldError as refusal:
            return self.refused(refusal.code, str(refusal), field)

    def refused(self, code: str, message: str, field: FieldPlan) -> Concatenation:
        """Return a refusal as JSON, to be found by the reference executor as the field's value."""
        self.refuse(located_error(code, message, field.node))
        return Concatenation([json.dumps({"$refused": [code, message]})])

    def refuse(self, error: GraphQLError) -> None:
        """Keep an error for the reference executor, which alone can report it."""
        if not self.exact:
            raise Unplannable(error.message) from None
        self.refusals.append(error)

    def value(self, field: FieldPlan, scope: QueryScope) -> ColumnElement[str]:
        """Return the text of a field, depending on the kind of its value."""
        match field.value:
            case TypeNamePlan(name):
                return literal_text(f'"{name}"')
            case LeafPlan() as plan:
                return leaf(plan.type, self.leaf_value(plan, scope), exact=self.exact)
            case PageFactPlan(fact, type_):
                return leaf(type_, scope.row.value(fact), exact=self.exact)
            case EmbeddedPlan() as plan:
                return self.embedded(plan, scope)
            case EmbeddedListPlan(source, inside):
                objects = [self.object(inside, scope.with_row(r)) for r in source.of(scope.row)]
                return Concatenation(["[", *separated(objects), "]"])
            case RowPlan(rows, arguments, inside, is_nullable):
                selected = rows(scope.row, self.policy, **arguments)
                return self.row(inside, selected, scope, is_nullable=is_nullable)
            case NodePlan(_, _, rows, inside):
                return self.row(inside, rows(scope.row, self.policy), scope, is_nullable=True)
            case RowListPlan(rows, arguments, inside):
                selected = rows(scope.row, self.policy, **arguments)
                child = scope.child(selected)
                return self.list_text(self.object(inside, child), child, selected, scope)
            case NodeListPlan() as plan:
                return self.nodes(plan, scope)
            case ConnectionPlan() as plan:
                return self.connection(plan, scope)
            case PageItemsPlan() as plan:
                return self.page_items(field.key, plan, scope)
            case ResultPlan(_, results):
                return self.result(field.key, results, scope)
            case RefusalPlan(code, message):
                return self.refused(code, message, field)
            case ResolverPlan():
                raise Unplannable(field.name)

    def leaf_value(self, plan: LeafPlan, scope: QueryScope) -> ColumnElement[Any]:
        source = plan.source
        if isinstance(source, ViewerField):
            return as_column(source.of(scope.row, self.policy))
        return as_column(source.of(scope.row))

    def embedded(self, plan: EmbeddedPlan, scope: QueryScope) -> ColumnElement[str]:
        row, when = plan.source.of(scope.row, **plan.arguments), plan.source.when
        condition = when and when(scope.row)
        scope.subqueries[-1].extend(plan.source.subqueries(row))
        text = self.object(plan.object, scope.with_row(row))
        return text if condition is None else case((condition, text), else_=literal_text("null"))

    def result(
        self, key: str, results: Mapping[str, ObjectPlan], scope: QueryScope
    ) -> Concatenation:
        """Return the result of a mutation field, from its values and from current rows."""
        outcome = self.outcomes.get(key)
        if outcome is None:
            raise Unplannable("not done")
        if isinstance(outcome, FieldError):
            raise outcome
        return self.object(results[outcome], scope.with_row(OutcomeRow(key)))

    # -- rows --------------------------------------------------------------------------------------

    def row(
        self,
        inside: ObjectPlan,
        rows: Rows,
        scope: QueryScope,
        *,
        is_nullable: bool,
        joined: bool = True,
    ) -> ColumnElement[str]:
        """Return a row's object, or null. On PostgreSQL, a join is faster than a subquery."""
        child = scope.child(rows)
        text = self.object(inside, child)
        matching = select_rows(self.policy, rows, child, scope, text.label("json")).limit(
            number_literal(1)
        )
        if joined and self.policy.lateral and scope.tables:
            beside = LateralSubquery(lambda: matching, lateral=True, always=False)
            scope.subqueries[-1].append(beside)
            value: ColumnElement[str] = beside["json"]
        else:
            value = matching.scalar_subquery()
        return or_null(value) if is_nullable or self.exact else or_violation(value)

    def nodes(self, plan: NodeListPlan, scope: QueryScope) -> ColumnElement[str]:
        """Return a list of objects of several types: one subquery per type, of which one runs."""
        rows = plan.rows(scope.row, self.policy, **plan.arguments)
        child = scope.child(rows)
        row = child.row
        objects = []
        for prefix, (kind, inside) in plan.kinds.items():
            found = kind.rows(row, self.policy)
            text = self.row(inside, found, child, is_nullable=True, joined=False)
            objects.append((row.kind == literal_text(prefix), text))
        return self.list_text(Concatenation([case(*objects)]), child, rows, scope)

    def list_text(
        self, text: Concatenation, child: QueryScope, rows: Rows, scope: QueryScope
    ) -> ColumnElement[str]:
        """Return the texts of all rows as one list in their order."""
        columns = InnerColumns()
        item = self.fetched(text, rows.table, columns)
        matching = select_rows(self.policy, rows, child, scope, *columns.written)
        ordered = matching.order_by(*ordering(rows)).subquery()
        return select(json_list(comma_separated(item))).select_from(ordered).scalar_subquery()

    def fetched(
        self, text: Concatenation, table: FromClause, columns: InnerColumns
    ) -> ColumnElement[str]:
        """Add an item's text to an inner SELECT, and return the outer SELECT's reference to it."""
        return (
            columns.write(text) if self.policy.lateral else hoist_subqueries(text, table, columns)
        )

    # -- connections -------------------------------------------------------------------------------

    def connection(self, plan: ConnectionPlan, scope: QueryScope) -> ColumnElement[str]:
        """Return a connection. Its fields are read from the page, a SELECT of the page's rows."""
        source = plan.source

        def count() -> ColumnElement[int]:
            counted = source.rows(scope.row, self.policy, **plan.arguments)
            child = scope.child(counted)
            return select_rows(self.policy, counted, child, scope, func.count()).scalar_subquery()

        rows = source.rows(scope.row, self.policy, **plan.arguments)
        child = scope.child(rows)
        filters_beside = bool(child.joins)
        page = Page(rows, child, plan.bounds, plan.use, most=source.most, count=count)
        text = self.object(plan.object, QueryScope(page, scope.tables, scope.subqueries))
        shown = select_page(self.policy, page, scope, filters_beside=filters_beside)
        if plan.use.reads_rows:
            return select(text).select_from(shown.subquery()).scalar_subquery()
        # Without an aggregate, a SELECT over the rows would not return exactly one row.
        self.unread.append(shown)
        return text

    def page_items(self, key: str, plan: PageItemsPlan, scope: QueryScope) -> ColumnElement[str]:
        """Return the objects of the page's rows, which the inner SELECT writes."""
        page: Page = scope.row
        text = self.object(plan.object, page.scope.with_row(plan.source.of(page)))
        if page.is_wide and key == page.use.counted_key:
            # One line per row, so that the rows can be counted without parsing the response.
            text = Concatenation(["\n", text])
        item = self.fetched(text, page.rows.table, page.inner)
        return json_list(comma_separated(page.shown(item)))


def ordering(rows: Rows) -> list[ColumnElement[Any]]:
    return [key.desc() if rows.descending else key.asc() for key in as_columns(rows.order)]


def separated(objects: Sequence[Concatenation]) -> list[Piece]:
    return [piece for n, text in enumerate(objects) for piece in ("," if n else "", text)]
