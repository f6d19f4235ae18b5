"""The scopes that each part of the schema needs, and the refusal of requests without them.

This is the only list. There is an error for each missing scope.
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
from planner.operation import Operation, coerce_variables, graphql_error
from planner.selection import fragments_of
from resolvers import nodes
from resolvers.clients import ClientOrderField
from resolvers.document_files import OPENING
from resolvers.ids import id_prefix

Scopes = frozenset[Scope]
NOTHING: Scopes = frozenset()
BILLING, PHI = frozenset({Scope.BILLING_READ}), frozenset({Scope.PHI_READ})
AGGREGATES = frozenset({Scope.AGGREGATES_READ})
WRITING = frozenset({Scope.BILLING_WRITE})

# Scopes of types. Every field of the type needs them, and so does every field that returns the type
# or a list of it, since a token without the scope must not learn that an object exists. All data of
# a single client is billing data.
TYPES: Mapping[str, Scopes] = {
    **dict.fromkeys(
        (
            "AccessLogEntry",
            "AccountHistoryEntry",
            "AmountChanged",
            "Balance",
            "BalanceTerm",
            "PayableInvoice",
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

# Fields and arguments that need more scopes than their type.
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
            "Superbill.renderingProvider",
        ),
        PHI,
    ),
    **dict.fromkeys(("Session.fee", "SuperbillLine.fee", "SuperbillLine.paid"), BILLING),
    # The result of a mutation reveals whether an id belongs to a client.
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
    # An entry needs no scope to read. What it returns of a client needs those of each field.
    **dict.fromkeys(
        (
            "Mutation.adjustInvoice",
            "Mutation.allocateCredit",
            "Mutation.archiveClient",
            "Mutation.giveCredit",
            "Mutation.issueInvoice",
            "Mutation.issueStatement",
            "Mutation.issueSuperbill",
            "Mutation.linkContact",
            "Mutation.mergeClients",
            "Mutation.recordPayment",
            "Mutation.recordRefund",
            "Mutation.recordSession",
            "Mutation.restoreClient",
            "Mutation.shareDocument",
            "Mutation.unlinkContact",
            "Mutation.upsertClient",
            "Mutation.voidInvoice",
            "Mutation.writeOff",
        ),
        WRITING,
    ),
}

# Functions that return the fields that an argument requests in addition to its own field.
ARGUMENTS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "Query.clients": lambda given: of_names(given),
    "Query.node": lambda given: of_ids([given["id"]]),
    "Query.nodes": lambda given: of_ids(given["ids"]),
}
# All scopes that an argument can need.
BY_ARGUMENTS = BILLING | PHI


def of_names(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the uses of names in the arguments of `Query.clients`.

    A search finds names; an order by name, the default, reveals which name comes first.
    """
    order = given.get("orderBy")
    if order is None or order["field"] is ClientOrderField.NAME:
        yield "Query.clients(orderBy: NAME)"
    if given.get("search") is not None:
        yield "Query.clients(search:)"


def of_ids(ids: Sequence[str]) -> Iterator[str]:
    """Return the id field of each id's type, since the response reveals that the object exists."""
    return (f"{nodes.FOUND[kind][0]}.id" for kind in map(id_prefix, ids) if kind in nodes.FOUND)


def scopes_of_field(schema: GraphQLSchema, coordinate: str) -> Scopes:
    """Return the scopes that a field needs; none for `__typename`."""
    type_, _, name = coordinate.partition(".")
    if name.startswith("__"):
        return NOTHING
    own = FIELDS.get(coordinate, NOTHING) | TYPES.get(type_, NOTHING)
    return own | TYPES.get(item_type(schema, type_, name), NOTHING)


def item_type(schema: GraphQLSchema, type_: str, name: str) -> str:
    """Return the name of a field's type; for a list or connection, the type of its items."""
    definition = getattr(schema.type_map[type_], "fields", {}).get(name)
    if definition is None:
        return ""
    named: Any = get_named_type(definition.type)
    items = getattr(named, "fields", {}).get("nodes")
    return str(get_named_type(items.type) if items else named)


@dataclass(frozen=True)
class RequiredScopes:
    """The scopes that an operation needs for its fields, and its fields with relevant arguments."""

    fields: Mapping[str, Scopes]
    with_arguments: tuple[tuple[str, FieldNode], ...]

    @cached_property
    def most(self) -> Scopes:
        """Return all scopes that the operation can need with any arguments."""
        by_arguments = BY_ARGUMENTS if self.with_arguments else NOTHING
        return by_arguments.union(*self.fields.values())

    def lacking(
        self,
        schema: GraphQLSchema,
        operation: Operation,
        variables: Mapping[str, Any],
        held: Scopes,
    ) -> Mapping[Scope, list[str]]:
        """Return the requested fields for each scope that the token lacks."""
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
        variable_values = (
            coerce_variables(schema, operation, variables) if self.with_arguments else None
        )
        if not isinstance(variable_values, VariableValues):
            return {}
        return {
            told: scopes_of_field(schema, told)
            for coordinate, node in self.with_arguments
            for told in fields_by_arguments(schema, coordinate, node, variable_values)
        }


def fields_by_arguments(
    schema: GraphQLSchema, coordinate: str, node: FieldNode, variable_values: VariableValues
) -> set[str]:
    type_name, _, name = coordinate.partition(".")
    type_: Any = schema.type_map[type_name]
    try:
        arguments = get_argument_values(type_.fields[name], node, variable_values)
    except GraphQLError:
        return set()  # execution refuses the invalid arguments
    return set(ARGUMENTS[coordinate](arguments))


def required_scopes(schema: GraphQLSchema, operation: Operation) -> RequiredScopes:
    """Return the scopes needed by all fields that the operation names, including skipped ones."""
    named = list(fields_of(schema, operation))
    fields = {coordinate: scopes_of_field(schema, coordinate) for coordinate, _ in named}
    asked = {coordinate: scopes for coordinate, scopes in fields.items() if scopes}
    return RequiredScopes(asked, tuple(field for field in named if field[0] in ARGUMENTS))


def fields_of(schema: GraphQLSchema, operation: Operation) -> Iterator[tuple[str, FieldNode]]:
    """Yield all fields that the operation names, as `Type.field`.

    The type is that of the object with the field: for a fragment on Node within a session, Session.
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
                # A union itself has the field __typename only.
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
    """Return the type of the objects that a fragment selects from, among objects of a type.

    A union has no fields of its own, so interface fields are looked up on its members.
    """
    if fragment.type_condition is None:
        return type_
    condition = schema.type_map[fragment.type_condition.name.value]
    return condition if is_object_type(condition) or is_union_type(type_) else type_


def scopes_required(lacking: Mapping[Scope, Sequence[str]]) -> list[GraphQLError]:
    """Return the errors that refuse the request: for each scope, the fields that need it."""
    return [scope_required(scope, lacking[scope]) for scope in Scope if scope in lacking]


def scope_required(scope: Scope, coordinates: Sequence[str]) -> GraphQLError:
    named = ", ".join(coordinates)
    error = graphql_error("SCOPE_REQUIRED", f"needs the scope {scope.written}: {named}")
    more = {"scope": scope.written, "fields": list(coordinates)}
    error.extensions = {**(error.extensions or {}), **more}
    return error
