"""The planner. It turns a validated operation into one SELECT that returns the response as JSON.

`Planner.compile` is the entry point. It walks the selection as the GraphQL specification collects
fields. Each field's source provides its SQL, and the pieces of text are joined from the leaves up.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    OperationDefinitionNode,
    SelectionSetNode,
    get_argument_values,
    get_named_type,
)
from sqlalchemy import ColumnElement, FromClause, Select, case, func, select
from strawberry.types.arguments import convert_arguments

from models.literals import constant
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
from planner.selection import Selected, Selection
from planner.sources import (
    ConnectionField,
    ConnectionItems,
    Embedded,
    EmbeddedList,
    MutationField,
    NodeById,
    NodeKind,
    NodesByIds,
    Rows,
    Source,
    ToMany,
    ToOne,
    Value,
    ViewerField,
    source_of,
)
from planner.sql_text import comma_separated
from planner.tables import as_column, as_columns


@dataclass(frozen=True)
class MutationCall:
    """A field of a mutation: its response key, its source, and `run`, which takes the context."""

    response_key: str
    source: MutationField
    definition: GraphQLField
    nodes: Sequence[FieldNode]
    run: Callable[[Any], Awaitable[Any]]


# The result type or the refusal of each mutation field, by response key.
Outcomes = Mapping[str, str | FieldError]
PAGE_ARGUMENTS = ("first", "after", "last", "before")


class Planner:
    """A planner for one document, kind of viewer, shape of variables and database.

    `exact` is for the reference executor: refusals and unexpected nulls are written into the result
    to be reported. Without it, a refusal makes the operation Unplannable, and a null makes its
    result void.
    """

    def __init__(
        self,
        schema: Any,
        selection: Selection,
        policy: RowPolicy,
        *,
        exact: bool = False,
        outcomes: Outcomes | None = None,
    ) -> None:
        self.strawberry_schema = schema
        self.selection, self.policy, self.exact = selection, policy, exact
        self.outcomes = outcomes or {}
        # SELECTs omitted from the statement, with arguments that still have to be checked.
        self.unread: list[Select[Any]] = []
        # With `exact`: the errors that the reference executor will report.
        self.refusals: list[GraphQLError] = []

    def compile(self, node: OperationDefinitionNode) -> Select[Any]:
        """Return the SELECT for the whole response."""
        root = self.selection.schema.get_root_type(node.operation)
        if root is None:
            raise Unplannable("no such operations")
        data = self.object(root, [node.selection_set], QueryScope(None))
        statement = select(Concatenation(['{"data":', data, "}"]))
        self.policy.check()
        return statement

    def mutation_calls(self, node: OperationDefinitionNode) -> Iterator[MutationCall]:
        """Yield a mutation's fields in their order.

        The arguments of all fields are read before the first field runs. Raise GraphQLError if an
        argument or a directive cannot be read.
        """
        root = self.selection.schema.mutation_type
        assert root is not None
        for key, nodes in self.selection.fields(root, [node.selection_set]).items():
            definition = root.fields.get(nodes[0].name.value)
            source = definition and source_of(definition)
            if definition is None or not isinstance(source, MutationField):
                continue
            try:
                arguments = self.arguments(definition, nodes[0])
            except FieldError as refusal:
                raise located_error(refusal, nodes[0]) from None
            yield MutationCall(key, source, definition, nodes, partial(source.act, **arguments))

    # -- objects and fields ------------------------------------------------------------------------

    def object(
        self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode], scope: QueryScope
    ) -> Concatenation:
        """Return the text of an object, which is never NULL."""
        pieces: list[Piece] = [f'{{"$type":"{type_.name}"'] if self.exact else ["{"]
        for key, nodes in self.selected(type_, sets).items():
            if self.exact and self.has_no_source(type_, nodes[0]):
                continue
            comma = "" if pieces == ["{"] else ","
            pieces += [f'{comma}"{key}":', self.field(type_, nodes, scope)]
        return Concatenation([*pieces, "}"])

    def selected(self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> Selected:
        """Return an object's selected fields. The reference executor reports invalid directives."""
        try:
            return self.selection.fields(type_, sets)
        except GraphQLError as error:
            if not self.exact:
                raise Unplannable(error.message) from None
            self.refusals.append(error)
            return {}

    def has_no_source(self, type_: GraphQLObjectType, node: FieldNode) -> bool:
        """Return whether a field has no source. Its own resolver runs in the reference executor."""
        definition = type_.fields.get(node.name.value)
        return definition is None or source_of(definition) is None

    def field(
        self, type_: GraphQLObjectType, nodes: Sequence[FieldNode], scope: QueryScope
    ) -> ColumnElement[str]:
        name = nodes[0].name.value
        if name == "__typename":
            return literal_text(f'"{type_.name}"')
        definition = type_.fields.get(name)
        source = definition and source_of(definition)
        if definition is None or source is None:
            raise Unplannable(name)
        before = self.policy.checkpoint()
        try:
            return self.source_text(definition, source, nodes, scope)
        except FieldError as refusal:
            if not self.exact:
                raise Unplannable(refusal.code) from None
            self.policy.roll_back(before)
            self.refusals.append(located_error(refusal, nodes[0]))
            return literal_text(refusal_json(refusal))

    def source_text(
        self,
        definition: GraphQLField,
        source: Source,
        nodes: Sequence[FieldNode],
        scope: QueryScope,
    ) -> ColumnElement[str]:
        """Return the text of a field, depending on the kind of its source."""
        type_, sets = definition.type, [n.selection_set for n in nodes if n.selection_set]
        match source:
            case Value(of):
                return self.leaf(type_, as_column(of(scope.row)))
            case ViewerField(of):
                return self.leaf(type_, as_column(of(scope.row, self.policy)))
            case Embedded(of, when):
                given = self.arguments(definition, nodes[0]) if definition.args else {}
                row = of(scope.row, **given)
                return self.embedded(type_, sets, scope.with_row(row), when and when(scope.row))
            case EmbeddedList(of):
                objects = [
                    self.object(object_type(type_), sets, scope.with_row(r)) for r in of(scope.row)
                ]
                return Concatenation(["[", *separated(objects), "]"])
            case ToOne(rows):
                selected = rows(scope.row, self.policy, **self.arguments(definition, nodes[0]))
                return self.to_one(type_, sets, selected, scope)
            case ToMany(rows, _):
                selected = rows(scope.row, self.policy, **self.arguments(definition, nodes[0]))
                return self.to_many(object_type(type_), sets, selected, scope)
            case ConnectionField():
                return self.connection(definition, source, nodes[0], sets, scope)
            case ConnectionItems(of):
                return self.connection_items(of, object_type(type_), sets, scope)
            case NodeById(pick):
                name, rows = pick(**self.arguments(definition, nodes[0]))
                return self.to_one(self.type_named(name), sets, rows(scope.row, self.policy), scope)
            case MutationField():
                return self.outcome(response_key(nodes[0]), sets, scope)
            case NodesByIds(rows, kinds):
                selected = rows(scope.row, self.policy, **self.arguments(definition, nodes[0]))
                return self.nodes_by_ids(kinds, sets, selected, scope)

    def outcome(self, key: str, sets: list[SelectionSetNode], scope: QueryScope) -> Concatenation:
        """Return the result of a mutation field, from its values and from current rows."""
        came_to = self.outcomes.get(key)
        if came_to is None:
            raise Unplannable("not done")
        if isinstance(came_to, FieldError):
            raise came_to
        return self.object(self.type_named(came_to), sets, scope.with_row(OutcomeRow(key)))

    def arguments(self, definition: GraphQLField, node: FieldNode) -> dict[str, Any]:
        """Return the arguments as Strawberry would pass them, with `Deferred` for variables."""
        try:
            values = get_argument_values(definition, node, self.selection.variables)
        except GraphQLError as error:
            raise FieldError("BAD_USER_INPUT", error.message) from None
        converter = self.strawberry_schema.schema_converter
        return convert_arguments(
            values,
            definition.extensions["strawberry-definition"].arguments,
            scalar_registry=converter.scalar_registry,
            config=converter.config,
        )

    def leaf(self, type_: GraphQLOutputType, value: ColumnElement[Any]) -> ColumnElement[str]:
        return leaf(type_, value, exact=self.exact)

    # -- rows --------------------------------------------------------------------------------------

    def embedded(
        self,
        type_: GraphQLOutputType,
        sets: list[SelectionSetNode],
        scope: QueryScope,
        when: ColumnElement[bool] | None,
    ) -> ColumnElement[str]:
        text = self.object(object_type(type_), sets, scope)
        return text if when is None else case((when, text), else_=literal_text("null"))

    def to_one(
        self,
        type_: GraphQLOutputType,
        sets: list[SelectionSetNode],
        rows: Rows,
        scope: QueryScope,
        *,
        joined: bool = True,
    ) -> ColumnElement[str]:
        """Return a row's object, or null. On PostgreSQL, a join is faster than a subquery."""
        child = scope.child(rows)
        text = self.object(object_type(type_), sets, child)
        matching = select_rows(self.policy, rows, child, scope, text.label("json")).limit(
            constant(1)
        )
        if joined and self.policy.lateral and scope.tables:
            beside = matching.lateral()
            scope.joins.append(beside)
            value: ColumnElement[str] = beside.c.json
        else:
            value = matching.scalar_subquery()
        if isinstance(type_, GraphQLNonNull) and not self.exact:
            return or_violation(value)
        return or_null(value)

    def to_many(
        self, type_: GraphQLObjectType, sets: list[SelectionSetNode], rows: Rows, scope: QueryScope
    ) -> ColumnElement[str]:
        child = scope.child(rows)
        return self.list_text(self.object(type_, sets, child), child, rows, scope)

    def nodes_by_ids(
        self,
        kinds: Mapping[str, NodeKind],
        sets: list[SelectionSetNode],
        rows: Rows,
        scope: QueryScope,
    ) -> ColumnElement[str]:
        """Return a list of objects of several types: one subquery per type, of which one runs."""
        child = scope.child(rows)
        row = child.row
        text = case(
            *(
                (
                    row.kind == literal_text(prefix),
                    self.to_one(
                        self.type_named(kind.name),
                        sets,
                        kind.rows(row, self.policy),
                        child,
                        joined=False,
                    ),
                )
                for prefix, kind in kinds.items()
            )
        )
        return self.list_text(Concatenation([text]), child, rows, scope)

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

    def type_named(self, name: str) -> GraphQLObjectType:
        return object_type(self.selection.schema.type_map[name])  # type: ignore[arg-type]

    # -- connections -------------------------------------------------------------------------------

    def connection(
        self,
        definition: GraphQLField,
        source: ConnectionField[Any],
        node: FieldNode,
        sets: list[SelectionSetNode],
        scope: QueryScope,
    ) -> ColumnElement[str]:
        """Return a connection. Its fields are read from the page, a SELECT of the page's rows."""
        type_ = object_type(definition.type)
        arguments = self.arguments(definition, node)
        bounds = {name: arguments.pop(name, None) for name in PAGE_ARGUMENTS}
        if source.tells_start:
            arguments["from_start"] = bounds["after"] is None and bounds["last"] is None

        def count() -> ColumnElement[int]:
            counted = source.rows(scope.row, self.policy, **arguments)
            child = scope.child(counted)
            return select_rows(self.policy, counted, child, scope, func.count()).scalar_subquery()

        rows = source.rows(scope.row, self.policy, **arguments)
        filters_beside = any(beside.joined is not None for beside in rows.subqueries)
        asked = self.selected(type_, sets).values()
        peek = any(nodes[0].name.value == "pageInfo" for nodes in asked)
        page = Page(rows, scope.child(rows), count, most=source.most, peek=peek, **bounds)
        text = self.object(type_, sets, QueryScope(page, scope.tables, scope.subqueries))
        shown = select_page(self.policy, page, scope, filters_beside=filters_beside)
        if not page.read:
            self.unread.append(shown)
            return text
        return select(text).select_from(shown.subquery()).scalar_subquery()

    def connection_items(
        self,
        of: Callable[[Any], Any],
        type_: GraphQLObjectType,
        sets: list[SelectionSetNode],
        scope: QueryScope,
    ) -> ColumnElement[str]:
        """Return the objects of the page's rows, which the inner SELECT writes."""
        page: Page = scope.row
        text = self.object(type_, sets, page.scope.with_row(of(page)))
        if page.is_wide and not page.read:
            # One line per row, so that the rows can be counted without parsing the response.
            text = Concatenation(["\n", text])
        page.read = True
        item = self.fetched(text, page.rows.table, page.inner)
        return json_list(comma_separated(page.shown(item)))


def response_key(node: FieldNode) -> str:
    return (node.alias or node.name).value


def object_type(type_: GraphQLOutputType) -> GraphQLObjectType:
    named = get_named_type(type_)
    assert isinstance(named, GraphQLObjectType)
    return named


def ordering(rows: Rows) -> list[ColumnElement[Any]]:
    return [key.desc() if rows.descending else key.asc() for key in as_columns(rows.order)]


def separated(objects: Sequence[Concatenation]) -> list[Piece]:
    return [piece for n, text in enumerate(objects) for piece in ("," if n else "", text)]


def located_error(refusal: FieldError, node: FieldNode) -> GraphQLError:
    """Return a refusal as an error of the whole request, with the field's location."""
    return GraphQLError(str(refusal), [node], extensions={"code": refusal.code})


def refusal_json(refusal: FieldError) -> str:
    """Return a refusal as JSON, to be found by the reference executor as the field's value."""
    return json.dumps({"$refused": [refusal.code, str(refusal)]})
