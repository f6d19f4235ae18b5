"""Which scopes of a token each part of the contract needs: the one list, and the refusal without.

Where a viewer has to have several, an error is told for each that they lack.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    SelectionSetNode,
    get_argument_values,
    get_named_type,
    is_object_type,
    is_union_type,
)
from graphql.execution.values import VariableValues

from models import Scope
from resolvers import nodes
from resolvers.clients import ClientOrderField
from resolvers.planner.later import prefix
from resolvers.planner.operation import Operation, coerced, refusal
from resolvers.planner.selection import fragments_of
from resolvers.printed import OPENING

Scopes = frozenset[Scope]
NOTHING: Scopes = frozenset()
BILLING, PHI = frozenset({Scope.BILLING_READ}), frozenset({Scope.PHI_READ})
AGGREGATES = frozenset({Scope.AGGREGATES_READ})

# Types of which every field needs them, and so does every field that gives one, or a list of them:
# who may not read a thing isn't told that there is one. Whatever is of a single client is billing.
TYPES: Mapping[str, Scopes] = {
    **dict.fromkeys(
        (
            "AccessLogEntry",
            "AccountHistoryEntry",
            "AmountChanged",
            "Balance",
            "BalanceTerm",
            "Client",
            "Invoice",
            "InvoiceLine",
            "Payment",
            "PaymentAllocation",
            "PaymentCard",
            "PaymentFailure",
            "PaymentMethod",
            "Permission",
            "Receipt",
            "Statement",
            "StatementLine",
            "Superbill",
        ),
        BILLING,
    ),
    **dict.fromkeys(("Completeness", "Diagnosis", "Session", "SuperbillGap", "SuperbillLine"), PHI),
    **dict.fromkeys(("Aging", "RevenuePeriod"), AGGREGATES),
    "DocumentLink": OPENING,
}

# Fields, and arguments, that need more than their type does.
FIELDS: Mapping[str, Scopes] = {
    **dict.fromkeys(
        (
            "AccessLogEntry.name",
            "AccountHistoryEntry.description",
            "Client.address",
            "Client.dateOfBirth",
            "Client.email",
            "Client.name",
            "Client.phone",
            "Invoice.notes",
            "InvoiceLine.description",
            "InvoiceLine.serviceCode",
            "PaymentMethod.billingZip",
            "PaymentMethod.cardholderName",
            "Query.clients(orderBy: NAME)",
            "Query.clients(search:)",
            "StatementLine.description",
            "Superbill.provider",
        ),
        PHI,
    ),
    **dict.fromkeys(("Session.fee", "SuperbillLine.fee", "SuperbillLine.paid"), BILLING),
    # Whether an id is one of a client's is told by what comes of it.
    **dict.fromkeys(
        (
            "Mutation.addCard",
            "Mutation.cancelPayment",
            "Mutation.makeDefault",
            "Mutation.pay",
            "Mutation.prepareCard",
            "Mutation.refreshPayment",
            "Mutation.removeCard",
        ),
        BILLING,
    ),
}

# What arguments ask for beside their field.
ARGUMENTS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "Query.clients": lambda given: of_names(given),
    "Query.node": lambda given: of_ids([given["id"]]),
    "Query.nodes": lambda given: of_ids(given["ids"]),
}
# All that an argument can need.
BY_ARGUMENTS = BILLING | PHI


def of_names(given: Mapping[str, Any]) -> Iterator[str]:
    """A search finds names, an order by name shows which comes first; left out, it is by name."""
    order = given.get("orderBy")
    if order is None or order["field"] is ClientOrderField.NAME:
        yield "Query.clients(orderBy: NAME)"
    if given.get("search") is not None:
        yield "Query.clients(search:)"


def of_ids(ids: Sequence[str]) -> Iterator[str]:
    """Whatever is asked of it, an id says of which type the thing is, and the answer that it is."""
    return (f"{nodes.FOUND[kind][0]}.id" for kind in map(prefix, ids) if kind in nodes.FOUND)


def needs(schema: GraphQLSchema, coordinate: str) -> Scopes:
    """The scopes that a field needs. What an object's type is called says nothing."""
    type_, _, name = coordinate.partition(".")
    if name.startswith("__"):
        return NOTHING
    own = FIELDS.get(coordinate, NOTHING) | TYPES.get(type_, NOTHING)
    return own | TYPES.get(given(schema, type_, name), NOTHING)


def given(schema: GraphQLSchema, type_: str, name: str) -> str:
    """The type of what a field gives, of each item if it is a list or a connection."""
    definition = getattr(schema.type_map[type_], "fields", {}).get(name)
    if definition is None:
        return ""
    named: Any = get_named_type(definition.type)
    items = getattr(named, "fields", {}).get("nodes")
    return str(get_named_type(items.type) if items else named)


@dataclass(frozen=True)
class Needed:
    """Which scopes an operation needs for its fields, and for fields whose arguments say more."""

    fields: Mapping[str, Scopes]
    with_arguments: tuple[tuple[str, FieldNode], ...]

    @cached_property
    def most(self) -> Scopes:
        """All that it needs, whatever the arguments."""
        by_arguments = BY_ARGUMENTS if self.with_arguments else NOTHING
        return by_arguments.union(*self.fields.values())

    def lacking(
        self,
        schema: GraphQLSchema,
        operation: Operation,
        variables: Mapping[str, Any],
        held: Scopes,
    ) -> Mapping[Scope, list[str]]:
        """What is asked for with these variables by each of the scopes that aren't held."""
        if held >= self.most:
            return {}
        lacking = defaultdict(list)
        asked = {**self.fields, **self.by_arguments(schema, operation, variables)}
        for coordinate, scopes in sorted(asked.items()):
            for scope in scopes - held:
                lacking[scope].append(coordinate)
        return lacking

    def by_arguments(
        self, schema: GraphQLSchema, operation: Operation, variables: Mapping[str, Any]
    ) -> Mapping[str, Scopes]:
        given = coerced(schema, operation, variables) if self.with_arguments else None
        if not isinstance(given, VariableValues):
            return {}
        return {
            told: needs(schema, told)
            for coordinate, node in self.with_arguments
            for told in told_by_arguments(schema, coordinate, node, given)
        }


def told_by_arguments(
    schema: GraphQLSchema, coordinate: str, node: FieldNode, given: VariableValues
) -> set[str]:
    type_name, _, name = coordinate.partition(".")
    type_: Any = schema.type_map[type_name]
    try:
        arguments = get_argument_values(type_.fields[name], node, given)
    except GraphQLError:
        return set()  # refused in execution, for what is wrong with it
    return set(ARGUMENTS[coordinate](arguments))


def needed(schema: GraphQLSchema, operation: Operation) -> Needed:
    """What all that the operation names needs, whatever is skipped."""
    named = list(fields_of(schema, operation))
    fields = {coordinate: needs(schema, coordinate) for coordinate, _ in named}
    asked = {coordinate: scopes for coordinate, scopes in fields.items() if scopes}
    return Needed(asked, tuple(field for field in named if field[0] in ARGUMENTS))


def fields_of(schema: GraphQLSchema, operation: Operation) -> Iterator[tuple[str, FieldNode]]:
    """All fields that the operation names, as `Type.field`.

    By the type of the object that they are of: a fragment on Node in a session asks of the session.
    """
    fragments, opened = fragments_of(operation.document), set[tuple[str, str]]()
    waiting: list[tuple[SelectionSetNode, Any]] = [
        (operation.node.selection_set, schema.get_root_type(operation.node.operation))
    ]
    while waiting:
        set_, type_ = waiting.pop()
        for node in set_.selections:
            if isinstance(node, FieldNode):
                name = node.name.value
                yield f"{type_.name}.{name}", node
                # Of a union only __typename is asked.
                if node.selection_set and name in getattr(type_, "fields", ()):
                    waiting.append((node.selection_set, get_named_type(type_.fields[name].type)))
                continue
            fragment: Any = node
            if isinstance(node, FragmentSpreadNode):
                fragment = fragments[node.name.value]
                if (node.name.value, type_.name) in opened:
                    continue
                opened.add((node.name.value, type_.name))
            waiting.append((fragment.selection_set, narrowed(schema, fragment, type_)))


def narrowed(schema: GraphQLSchema, fragment: Any, type_: Any) -> Any:
    """The type of the objects that a fragment is for, among those of a type.

    A union has no fields of its own: an interface's are asked of its members.
    """
    if fragment.type_condition is None:
        return type_
    condition = schema.type_map[fragment.type_condition.name.value]
    return condition if is_object_type(condition) or is_union_type(type_) else type_


def scopes_required(lacking: Mapping[Scope, Sequence[str]]) -> list[GraphQLError]:
    """Why a viewer is refused, as a whole: for each scope what it is needed for."""
    return [scope_required(scope, lacking[scope]) for scope in Scope if scope in lacking]


def scope_required(scope: Scope, coordinates: Sequence[str]) -> GraphQLError:
    named = ", ".join(coordinates)
    error = refusal("SCOPE_REQUIRED", f"needs the scope {scope.written}: {named}")
    more = {"scope": scope.written, "fields": list(coordinates)}
    error.extensions = {**(error.extensions or {}), **more}
    return error
