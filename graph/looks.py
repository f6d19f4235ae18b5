"""Which personal data an operation reads, for the audit log."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLSchema, get_argument_values
from graphql.execution.values import VariableValues

from graph import scopes
from graph.scopes import fields_of
from resolvers.planner.operation import Operation, coerced
from resolvers.record import PERSONAL_ID, ReadScope, RequestReads

# Types that are somebody's data: those that a token needs a scope for.
PERSONAL = frozenset(scopes.TYPES)
# Lists and sums over everybody whom the viewer sees.
WIDE = frozenset(
    {
        *("Query.clients", "Practice.invoices", "Practice.payments"),
        *("Practice.revenue", "Practice.aging"),
    }
)
# Fields whose arguments have the ids of what is read. What a mutation was asked for is read too,
# even if nothing is changed.
BY_ID = frozenset(
    {
        *("Query.client", "Query.node", "Query.nodes"),
        *(name for name in scopes.FIELDS if name.startswith("Mutation.")),
    }
)
# The clients whom a viewer looks after.
OWN = "Viewer.clients"
# Characters of an operation's name, of a text among arguments, and of all arguments.
LONGEST_NAME, LONGEST_TEXT, LONGEST_ARGUMENTS = 200, 200, 10_000


def looks(schema: GraphQLSchema, operation: Operation) -> ReadScope | None:
    """Return what an operation reads, or None where it reads nobody's data."""
    asked = list(fields_of(schema, operation))
    coordinates = {coordinate for coordinate, _ in asked}
    personal = {one for one in coordinates if one.partition(".")[0] in PERSONAL}
    # Where nothing else is asked, what a list or an id tells is that something is there.
    ways = coordinates & (BY_ID | WIDE)
    if not personal and not ways:
        return None
    return ReadScope(
        operation_name(operation),
        tuple(sorted(personal or ways)),
        by_id=tuple(field for field in asked if field[0] in BY_ID),
        wide=tuple(field for field in asked if field[0] in WIDE),
        is_own=OWN in coordinates,
    )


def operation_name(operation: Operation) -> str | None:
    name = operation.node.name
    return name.value[:LONGEST_NAME] if name else None


def reads_of(
    schema: GraphQLSchema, scope: ReadScope, operation: Operation, variables: Mapping[str, Any]
) -> RequestReads:
    """Return what a request reads: its operation's scope, with the ids that it names."""
    given = coerced(schema, operation, variables) if scope.by_id or scope.wide else None
    if not isinstance(given, VariableValues):
        return RequestReads(scope.name, scope.fields, of_all=scope.is_own or not scope.by_id)
    ids, of_sole = set[str](), False
    for coordinate, arguments in arguments_of(schema, scope.by_id, given):
        named = set(ids_among(arguments))
        ids |= named
        of_sole |= not named and means_sole_client(coordinate, arguments)
    wide: dict[str, list[Any]] = {}
    for coordinate, arguments in arguments_of(schema, scope.wide, given):
        wide.setdefault(coordinate, []).append(shortened(arguments))
    return RequestReads(
        scope.name,
        scope.fields,
        ids=frozenset(ids),
        of_all=scope.is_own or bool(wide) or not scope.by_id,
        of_sole=of_sole,
        arguments=written(wide) if wide else None,
    )


def means_sole_client(coordinate: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a field without any id means the one client whom the viewer sees."""
    if coordinate == "Query.client":
        return arguments.get("id") is None
    return coordinate not in ("Query.node", "Query.nodes")


def arguments_of(
    schema: GraphQLSchema, fields: tuple[tuple[str, FieldNode], ...], given: VariableValues
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the arguments of fields, without those that are refused in execution."""
    for coordinate, node in fields:
        type_name, _, name = coordinate.partition(".")
        type_: Any = schema.type_map[type_name]
        try:
            yield coordinate, get_argument_values(type_.fields[name], node, given)
        except GraphQLError:
            continue


def ids_among(value: Any) -> Iterator[str]:
    """Give the ids of personal data in the value of an argument."""
    if isinstance(value, str):
        if PERSONAL_ID.fullmatch(value):
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from ids_among(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from ids_among(inner)


def shortened(value: Any) -> Any:
    """Return the value with its long texts cut, each by itself, so that none hides another."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {name: shortened(inner) for name, inner in value.items()}
    return [shortened(inner) for inner in value] if isinstance(value, list) else value


def written(arguments: Mapping[str, Any]) -> str:
    """Return arguments as JSON text, enums by their values and days as the contract has them."""
    text = json.dumps(
        arguments, ensure_ascii=False, default=lambda value: getattr(value, "value", str(value))
    )
    return text[:LONGEST_ARGUMENTS]
