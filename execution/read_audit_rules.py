"""The personal data that an operation reads, for the audit log."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLSchema, get_argument_values
from graphql.execution.values import VariableValues

from execution import scopes
from execution.read_audit import PERSONAL_ID, ReadScope, RequestReads
from execution.scopes import fields_of
from planner.operation import Operation, coerce_variables

# Types with personal data: those that need a scope.
PERSONAL = frozenset(scopes.TYPES)
# Lists and sums over all clients that the viewer has access to.
WIDE = frozenset(
    {
        *("Query.clients", "Practice.invoices", "Practice.payments", "Practice.ledger"),
        *("Practice.sessions", "Practice.statements", "Practice.superbills", "Practice.receipts"),
        *("Practice.revenue", "Practice.aging"),
    }
)
# Fields with arguments that name the objects read. The objects that a mutation names count as read,
# even if nothing is changed.
BY_ID = frozenset(
    {
        *("Query.client", "Query.node", "Query.nodes"),
        *(name for name in scopes.FIELDS if name.startswith("Mutation.")),
    }
)
# The clients that a viewer has access to.
OWN = "Viewer.clients"
# Maximum characters of an operation's name, of a text in arguments, and of all arguments.
LONGEST_NAME, LONGEST_TEXT, LONGEST_ARGUMENTS = 200, 200, 10_000


def read_scope(schema: GraphQLSchema, operation: Operation) -> ReadScope | None:
    """Return the read scope of an operation, or None if it reads no personal data."""
    asked = list(fields_of(schema, operation))
    coordinates = {coordinate for coordinate, _ in asked}
    personal = {one for one in coordinates if one.partition(".")[0] in PERSONAL}
    # A list or an id alone already reveals that an object exists.
    ways = coordinates & (BY_ID | WIDE)
    if not personal and not ways:
        return None
    return ReadScope(
        operation_name(operation),
        tuple(sorted(personal or ways)),
        by_id=tuple(field for field in asked if field[0] in BY_ID),
        practice_wide=tuple(field for field in asked if field[0] in WIDE),
        lists_own_clients=OWN in coordinates,
    )


def operation_name(operation: Operation) -> str | None:
    name = operation.node.name
    return name.value[:LONGEST_NAME] if name else None


def reads_of(
    schema: GraphQLSchema, scope: ReadScope, operation: Operation, variables: Mapping[str, Any]
) -> RequestReads:
    """Return the reads of a request: its operation's read scope and the ids in its arguments."""
    variable_values = (
        coerce_variables(schema, operation, variables)
        if scope.by_id or scope.practice_wide
        else None
    )
    if not isinstance(variable_values, VariableValues):
        return RequestReads(
            scope.name, scope.fields, of_all=scope.lists_own_clients or not scope.by_id
        )
    ids, of_sole = set[str](), False
    for coordinate, arguments in arguments_of(schema, scope.by_id, variable_values):
        named = set(ids_among(arguments))
        ids |= named
        of_sole |= not named and means_sole_client(coordinate, arguments)
    wide: dict[str, list[Any]] = {}
    for coordinate, arguments in arguments_of(schema, scope.practice_wide, variable_values):
        wide.setdefault(coordinate, []).append(shorten(arguments))
    return RequestReads(
        scope.name,
        scope.fields,
        ids=frozenset(ids),
        of_all=scope.lists_own_clients or bool(wide) or not scope.by_id,
        of_sole=of_sole,
        arguments=arguments_json(wide) if wide else None,
    )


def means_sole_client(coordinate: str, arguments: Mapping[str, Any]) -> bool:
    """Return whether a field without an id refers to the viewer's only client."""
    if coordinate == "Query.client":
        return arguments.get("id") is None
    return coordinate not in ("Query.node", "Query.nodes")


def arguments_of(
    schema: GraphQLSchema,
    fields: tuple[tuple[str, FieldNode], ...],
    variable_values: VariableValues,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the arguments of fields, except those that execution will refuse."""
    for coordinate, node in fields:
        type_name, _, name = coordinate.partition(".")
        type_: Any = schema.type_map[type_name]
        try:
            yield coordinate, get_argument_values(type_.fields[name], node, variable_values)
        except GraphQLError:
            continue


def ids_among(value: Any) -> Iterator[str]:
    """Yield the ids of personal data in the value of an argument."""
    if isinstance(value, str):
        if PERSONAL_ID.fullmatch(value):
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from ids_among(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from ids_among(inner)


def shorten(value: Any) -> Any:
    """Return the value with each long text cut, so that none displaces another."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {name: shorten(inner) for name, inner in value.items()}
    return [shorten(inner) for inner in value] if isinstance(value, list) else value


def arguments_json(arguments: Mapping[str, Any]) -> str:
    """Return arguments as JSON text, with enums by their values and dates in the schema's form."""
    text = json.dumps(
        arguments, ensure_ascii=False, default=lambda value: getattr(value, "value", str(value))
    )
    return text[:LONGEST_ARGUMENTS]
