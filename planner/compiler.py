"""The planner. It turns a validated operation into one SELECT that returns the response as JSON.

`Planner.operation` is the entry point. It walks the selection as the GraphQL specification collects
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
from planner.deferred import Refusal, Unplannable
from planner.json_text import (
    Columns,
    Joined,
    Piece,
    json_list,
    leaf,
    lifted,
    literal_text,
    or_broken,
    or_null,
)
from planner.pagination import Page
from planner.query_scope import Place, found, found_page
from planner.selection import Selected, Selection
from planner.sources import (
    Chosen,
    Items,
    Kind,
    Many,
    Mutated,
    One,
    Paged,
    Part,
    Parts,
    Rows,
    Source,
    Typed,
    Value,
    Viewed,
    source_of,
)
from planner.sql_text import comma_separated
from resolvers.mutations.result import OutcomeRow
from resolvers.visibility import Sight


@dataclass(frozen=True)
class Act:
    """A field of a mutation: its response key, its source, and `do`, which takes the context."""

    key: str
    source: Mutated
    definition: GraphQLField
    nodes: Sequence[FieldNode]
    do: Callable[[Any], Awaitable[Any]]


# The result type or the refusal of each mutation field, by response key.
Outcomes = Mapping[str, str | Refusal]
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
        sight: Sight,
        *,
        exact: bool = False,
        outcomes: Outcomes | None = None,
    ) -> None:
        self.strawberry_schema = schema
        self.selection, self.sight, self.exact = selection, sight, exact
        self.outcomes = outcomes or {}
        # SELECTs omitted from the statement, with arguments that still have to be checked.
        self.unread: list[Select[Any]] = []
        # With `exact`: the errors that the reference executor will report.
        self.refusals: list[GraphQLError] = []

    def operation(self, node: OperationDefinitionNode) -> Select[Any]:
        """Return the SELECT for the whole response."""
        root = self.selection.schema.get_root_type(node.operation)
        if root is None:
            raise Unplannable("no such operations")
        data = self.object(root, [node.selection_set], Place(None))
        statement = select(Joined(['{"data":', data, "}"]))
        self.sight.check()
        return statement

    def acts(self, node: OperationDefinitionNode) -> Iterator[Act]:
        """Yield a mutation's fields in their order.

        The arguments of all fields are read before the first field runs. Raise GraphQLError if an
        argument or a directive cannot be read.
        """
        root = self.selection.schema.mutation_type
        assert root is not None
        for key, nodes in self.selection.fields(root, [node.selection_set]).items():
            definition = root.fields.get(nodes[0].name.value)
            source = definition and source_of(definition)
            if definition is None or not isinstance(source, Mutated):
                continue
            try:
                arguments = self.arguments(definition, nodes[0])
            except Refusal as refusal:
                raise reported(refusal, nodes[0]) from None
            yield Act(key, source, definition, nodes, partial(source.act, **arguments))

    # -- objects and fields ------------------------------------------------------------------------

    def object(
        self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode], place: Place
    ) -> Joined:
        """Return the text of an object, which is never NULL."""
        pieces: list[Piece] = [f'{{"$type":"{type_.name}"'] if self.exact else ["{"]
        for key, nodes in self.selected(type_, sets).items():
            if self.exact and self.ordinary(type_, nodes[0]):
                continue
            comma = "" if pieces == ["{"] else ","
            pieces += [f'{comma}"{key}":', self.field(type_, nodes, place)]
        return Joined([*pieces, "}"])

    def selected(self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> Selected:
        """Return an object's selected fields. The reference executor reports invalid directives."""
        try:
            return self.selection.fields(type_, sets)
        except GraphQLError as error:
            if not self.exact:
                raise Unplannable(error.message) from None
            self.refusals.append(error)
            return {}

    def ordinary(self, type_: GraphQLObjectType, node: FieldNode) -> bool:
        """Return whether a field has no source. Its own resolver runs in the reference executor."""
        definition = type_.fields.get(node.name.value)
        return definition is None or source_of(definition) is None

    def field(
        self, type_: GraphQLObjectType, nodes: Sequence[FieldNode], place: Place
    ) -> ColumnElement[str]:
        name = nodes[0].name.value
        if name == "__typename":
            return literal_text(f'"{type_.name}"')
        definition = type_.fields.get(name)
        source = definition and source_of(definition)
        if definition is None or source is None:
            raise Unplannable(name)
        before = self.sight.handed_out.copy()
        try:
            return self.sourced(definition, source, nodes, place)
        except Refusal as refusal:
            if not self.exact:
                raise Unplannable(refusal.code) from None
            self.sight.handed_out = before  # the field is not in the statement
            self.refusals.append(reported(refusal, nodes[0]))
            return literal_text(refused(refusal))

    def sourced(
        self, definition: GraphQLField, source: Source, nodes: Sequence[FieldNode], place: Place
    ) -> ColumnElement[str]:
        """Return the text of a field, depending on the kind of its source."""
        type_, sets = definition.type, [n.selection_set for n in nodes if n.selection_set]
        match source:
            case Value(of):
                return self.leaf(type_, of(place.row))
            case Viewed(of):
                return self.leaf(type_, of(place.row, self.sight))
            case Part(of, when):
                return self.part(type_, sets, place.at(of(place.row)), when and when(place.row))
            case Parts(of):
                objects = [
                    self.object(object_type(type_), sets, place.at(r)) for r in of(place.row)
                ]
                return Joined(["[", *separated(objects), "]"])
            case One(rows):
                given = rows(place.row, self.sight, **self.arguments(definition, nodes[0]))
                return self.one(type_, sets, given, place)
            case Many(rows, _):
                given = rows(place.row, self.sight, **self.arguments(definition, nodes[0]))
                return self.many(object_type(type_), sets, given, place)
            case Paged():
                return self.paged(definition, source, nodes[0], sets, place)
            case Items(of):
                return self.items(of, object_type(type_), sets, place)
            case Typed(pick):
                name, rows = pick(**self.arguments(definition, nodes[0]))
                return self.one(self.named(name), sets, rows(place.row, self.sight), place)
            case Mutated():
                return self.outcome(response_key(nodes[0]), sets, place)
            case Chosen(rows, kinds):
                given = rows(place.row, self.sight, **self.arguments(definition, nodes[0]))
                return self.chosen(kinds, sets, given, place)

    def outcome(self, key: str, sets: list[SelectionSetNode], place: Place) -> Joined:
        """Return the result of a mutation field, from its values and from current rows."""
        came_to = self.outcomes.get(key)
        if came_to is None:
            raise Unplannable("not done")
        if isinstance(came_to, Refusal):
            raise came_to
        return self.object(self.named(came_to), sets, place.at(OutcomeRow(key)))

    def arguments(self, definition: GraphQLField, node: FieldNode) -> dict[str, Any]:
        """Return the arguments as Strawberry would pass them, with `Later` for variables."""
        try:
            values = get_argument_values(definition, node, self.selection.variables)
        except GraphQLError as error:
            raise Refusal("BAD_USER_INPUT", error.message) from None
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

    def part(
        self,
        type_: GraphQLOutputType,
        sets: list[SelectionSetNode],
        place: Place,
        when: ColumnElement[bool] | None,
    ) -> ColumnElement[str]:
        text = self.object(object_type(type_), sets, place)
        return text if when is None else case((when, text), else_=literal_text("null"))

    def one(
        self,
        type_: GraphQLOutputType,
        sets: list[SelectionSetNode],
        rows: Rows,
        place: Place,
        *,
        joined: bool = True,
    ) -> ColumnElement[str]:
        """Return a row's object, or null. On PostgreSQL, a join is faster than a subquery."""
        inside = place.inside(rows)
        text = self.object(object_type(type_), sets, inside)
        matching = found(self.sight, rows, inside, place, text.label("json")).limit(constant(1))
        if joined and self.sight.lateral and place.tables:
            beside = matching.lateral()
            place.joins.append(beside)
            value: ColumnElement[str] = beside.c.json
        else:
            value = matching.scalar_subquery()
        if isinstance(type_, GraphQLNonNull) and not self.exact:
            return or_broken(value)
        return or_null(value)

    def many(
        self, type_: GraphQLObjectType, sets: list[SelectionSetNode], rows: Rows, place: Place
    ) -> ColumnElement[str]:
        inside = place.inside(rows)
        return self.listed(self.object(type_, sets, inside), inside, rows, place)

    def chosen(
        self,
        kinds: Mapping[str, Kind],
        sets: list[SelectionSetNode],
        rows: Rows,
        place: Place,
    ) -> ColumnElement[str]:
        """Return a list of objects of several types: one subquery per type, of which one runs."""
        inside = place.inside(rows)
        row = inside.row
        text = case(
            *(
                (
                    row.kind == literal_text(prefix),
                    self.one(
                        self.named(kind.name),
                        sets,
                        kind.rows(row, self.sight),
                        inside,
                        joined=False,
                    ),
                )
                for prefix, kind in kinds.items()
            )
        )
        return self.listed(Joined([text]), inside, rows, place)

    def listed(self, text: Joined, inside: Place, rows: Rows, place: Place) -> ColumnElement[str]:
        """Return the texts of all rows as one list in their order."""
        columns = Columns()
        item = self.fetched(text, rows.table, columns)
        matching = found(self.sight, rows, inside, place, *columns.written)
        ordered = matching.order_by(*ordering(rows)).subquery()
        return select(json_list(comma_separated(item))).select_from(ordered).scalar_subquery()

    def fetched(self, text: Joined, table: FromClause, columns: Columns) -> ColumnElement[str]:
        """Add an item's text to an inner SELECT, and return the outer SELECT's reference to it."""
        return columns.write(text) if self.sight.lateral else lifted(text, table, columns)

    def named(self, name: str) -> GraphQLObjectType:
        return object_type(self.selection.schema.type_map[name])  # type: ignore[arg-type]

    # -- connections -------------------------------------------------------------------------------

    def paged(
        self,
        definition: GraphQLField,
        source: Paged,
        node: FieldNode,
        sets: list[SelectionSetNode],
        place: Place,
    ) -> ColumnElement[str]:
        """Return a connection. Its fields are read from the page, a SELECT of the page's rows."""
        type_ = object_type(definition.type)
        arguments = self.arguments(definition, node)
        bounds = {name: arguments.pop(name, None) for name in PAGE_ARGUMENTS}
        if source.tells_start:
            arguments["from_start"] = bounds["after"] is None and bounds["last"] is None

        def count() -> ColumnElement[int]:
            counted = source.rows(place.row, self.sight, **arguments)
            inside = place.inside(counted)
            return found(self.sight, counted, inside, place, func.count()).scalar_subquery()

        given = source.rows(place.row, self.sight, **arguments)
        filters_beside = any(beside.joined is not None for beside in given.beside)
        asked = self.selected(type_, sets).values()
        peek = any(nodes[0].name.value == "pageInfo" for nodes in asked)
        page = Page(given, place.inside(given), count, most=source.most, peek=peek, **bounds)
        text = self.object(type_, sets, Place(page, place.tables, place.besides))
        shown = found_page(self.sight, page, place, filters_beside=filters_beside)
        if not page.read:
            self.unread.append(shown)
            return text
        return select(text).select_from(shown.subquery()).scalar_subquery()

    def items(
        self,
        of: Callable[[Any], Any],
        type_: GraphQLObjectType,
        sets: list[SelectionSetNode],
        place: Place,
    ) -> ColumnElement[str]:
        """Return the objects of the page's rows, which the inner SELECT writes."""
        page: Page = place.row
        text = self.object(type_, sets, page.place.at(of(page)))
        if page.is_wide and not page.read:
            # One line per row, so that the rows can be counted without parsing the response.
            text = Joined(["\n", text])
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
    return [key.desc() if rows.descending else key.asc() for key in rows.order]


def separated(objects: Sequence[Joined]) -> list[Piece]:
    return [piece for n, text in enumerate(objects) for piece in ("," if n else "", text)]


def reported(refusal: Refusal, node: FieldNode) -> GraphQLError:
    """Return a refusal as an error of the whole request, with the field's location."""
    return GraphQLError(str(refusal), [node], extensions={"code": refusal.code})


def refused(refusal: Refusal) -> str:
    """Return a refusal as JSON, to be found by the reference executor as the field's value."""
    return json.dumps({"$refused": [refusal.code, str(refusal)]})
