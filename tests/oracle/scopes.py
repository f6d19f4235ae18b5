"""Scopes of an operation, defined from the opposite side to the server.

Fields open to every token are listed; all others need `billing:read`, except those listed here.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    get_argument_values,
    get_named_type,
)
from graphql.execution.values import get_variable_values

from models import Scope

BILLING, PHI = Scope.BILLING_READ, Scope.PHI_READ

# Types whose fields are open, except the fields listed.
OPEN: Mapping[str, frozenset[str]] = {
    "Query": frozenset({"client", "clients"}),
    "Viewer": frozenset({"clients"}),
    "Practice": frozenset(
        {
            *("invoices", "payments", "sessions", "statements", "superbills", "receipts"),
            *("ledger", "revenue", "aging"),
        }
    ),
    # The fields that return these types may need scopes.
    **dict.fromkeys(
        (
            *(
                "Node",
                "Clinician",
                "OnlinePayments",
                "Wallets",
                "Provider",
                "Address",
                "Money",
                "PageInfo",
            ),
            *("SignIn", "Identity", "Wallets"),
        ),
        frozenset[str](),
    ),
}
SUMS = frozenset({"RevenuePeriod", "Aging"})
# The relation between a therapist and a client; only its cost and its client are billing.
CARE = frozenset(
    {
        *("Session", "SessionConnection", "SessionEdge"),
        *("SuperbillLine", "Diagnosis", "Completeness", "SuperbillGap"),
    }
)
COSTS = frozenset({"fee", "paid", "client", "invoice"})
# Fields of bills that are health information too.
HEALTH: Mapping[str, frozenset[str]] = {
    "Client": frozenset({"name", "email", "phone", "dateOfBirth", "address"}),
    "InvoiceLine": frozenset({"description", "serviceCode", "session"}),
    "Invoice": frozenset({"notes"}),
    "Superbill": frozenset({"provider", "renderingProvider", "lines", "diagnoses", "completeness"}),
    "StatementLine": frozenset({"description"}),
    "AccessLogEntry": frozenset({"name"}),
    "AccountHistoryEntry": frozenset({"description", "session"}),
    "PaymentMethod": frozenset({"cardholderName", "billingZip"}),
}


def of_field(type_: str, field: str) -> frozenset[Scope]:
    """Return the scopes of a field itself; the path to it may need more."""
    if field.startswith("__") or (type_ in OPEN and field not in OPEN[type_]):
        return frozenset()
    if type_ in SUMS or field in ("revenue", "aging"):
        return frozenset({Scope.AGGREGATES_READ})
    if type_ == "DocumentLink":
        return frozenset({Scope.DOCUMENTS_READ, PHI})
    if (type_, field) == ("Practice", "sessions"):
        return frozenset({PHI})
    if type_ in CARE:
        return frozenset({PHI, BILLING} if field in COSTS else {PHI})
    found = {BILLING}
    if field in HEALTH.get(type_, ()):
        found.add(PHI)
    if (type_, field) == ("Payment", "processorFee"):
        found.add(Scope.AGGREGATES_READ)
    if field == "document":
        found |= {Scope.DOCUMENTS_READ, PHI}
    return frozenset(found)


def of_id(id_: str) -> frozenset[Scope]:
    """Return the scopes for reading a row by its id, for any selection."""
    kind = id_.partition("_")[0]
    if kind == "ses":
        return frozenset({PHI})
    billed = kind in ("cli", "inv", "stm", "sbl", "pmt", "rct", "crd", "aht")
    return frozenset({BILLING} if billed else ())


def needed(
    schema: GraphQLSchema,
    document: DocumentNode,
    node: OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> frozenset[Scope]:
    """Return the scopes of all fields, including skipped ones, and of their arguments."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    fields = list(named(schema, fragments, node.selection_set, schema.query_type))
    found = [of_field(type_.name, field.name.value) for type_, field in fields]
    variable_values = get_variable_values(schema, node.variable_definitions or (), dict(variables))
    if not isinstance(variable_values, list):
        roots = (field for type_, field in fields if type_ is schema.query_type)
        found += [
            scopes for field in roots for scopes in of_arguments(schema, field, variable_values)
        ]
    return frozenset().union(*found)


def of_arguments(schema: GraphQLSchema, field: FieldNode, given: Any) -> Iterable[frozenset[Scope]]:
    assert schema.query_type
    name = field.name.value
    try:
        arguments = get_argument_values(schema.query_type.fields[name], field, given)
    except (GraphQLError, KeyError):
        return []
    if name == "clients":
        # The order and the search of the list depend on names.
        by = (arguments.get("orderBy") or {}).get("field", "NAME")
        told = by == "NAME" or arguments.get("search") is not None
        return [frozenset({PHI})] if told else []
    ids = [arguments["id"]] if name == "node" else arguments["ids"] if name == "nodes" else []
    return map(of_id, ids)


def named(
    schema: GraphQLSchema, fragments: Any, selections: Any, type_: Any
) -> Iterator[tuple[Any, FieldNode]]:
    """Yield fields with their object's type, also within fragments on Node."""
    for node in selections.selections:
        if not isinstance(node, FieldNode):
            fragment = node if isinstance(node, InlineFragmentNode) else fragments[node.name.value]
            condition = fragment.type_condition.name.value if fragment.type_condition else "Node"
            inside = type_ if condition == "Node" else schema.type_map[condition]
            yield from named(schema, fragments, fragment.selection_set, inside)
            continue
        yield type_, node
        if node.selection_set:
            inner = get_named_type(type_.fields[node.name.value].type)
            yield from named(schema, fragments, node.selection_set, inner)
