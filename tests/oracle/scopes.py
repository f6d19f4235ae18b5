"""Which scopes an operation needs. Told from the other end than the server does: what is open to
every token, and then whatever else there is, of which all is billing but for what is named here."""

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

# Of these types everything is open, but for the fields named.
OPEN: Mapping[str, frozenset[str]] = {
    "Query": frozenset({"client", "clients"}),
    "Viewer": frozenset({"clients"}),
    "Practice": frozenset({"invoices", "payments", "revenue", "aging"}),
    # What they are of is not.
    **dict.fromkeys(
        (
            *("Node", "Clinician", "OnlinePayments", "Provider", "Address", "Money", "PageInfo"),
            *("SignIn", "Identity"),
        ),
        frozenset[str](),
    ),
}
SUMS = frozenset({"RevenuePeriod", "Aging"})
# What happened between a therapist and a client; only what it costs and to whom is billing.
CARE = frozenset({"Session", "SuperbillLine", "Diagnosis", "Completeness", "SuperbillGap"})
COSTS = frozenset({"fee", "paid", "client", "invoice"})
# What of bills is health information too.
HEALTH: Mapping[str, frozenset[str]] = {
    "Client": frozenset({"name", "email", "phone", "dateOfBirth", "address"}),
    "InvoiceLine": frozenset({"description", "serviceCode", "session"}),
    "Invoice": frozenset({"notes"}),
    "Superbill": frozenset({"provider", "lines", "diagnoses", "completeness"}),
    "StatementLine": frozenset({"description"}),
    "AccessLogEntry": frozenset({"name"}),
    "AccountHistoryEntry": frozenset({"description", "session"}),
    "PaymentMethod": frozenset({"cardholderName", "billingZip"}),
}


def of_field(type_: str, field: str) -> frozenset[Scope]:
    """What a field needs by itself; what leads to it may need more."""
    if field.startswith("__") or (type_ in OPEN and field not in OPEN[type_]):
        return frozenset()
    if type_ in SUMS or field in ("revenue", "aging"):
        return frozenset({Scope.AGGREGATES_READ})
    if type_ == "DocumentLink":
        return frozenset({Scope.DOCUMENTS_READ, PHI})
    if type_ in CARE:
        return frozenset({PHI, BILLING} if field in COSTS else {PHI})
    found = {BILLING}
    if field in HEALTH.get(type_, ()):
        found.add(PHI)
    if field == "document":
        found |= {Scope.DOCUMENTS_READ, PHI}
    return frozenset(found)


def of_id(id_: str) -> frozenset[Scope]:
    """What whoever asks for a thing by its id needs, whatever of it they ask."""
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
    """What all its fields need, skipped ones too, and their arguments."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    fields = list(named(schema, fragments, node.selection_set, schema.query_type))
    found = [of_field(type_.name, field.name.value) for type_, field in fields]
    given = get_variable_values(schema, node.variable_definitions or (), dict(variables))
    if not isinstance(given, list):
        roots = (field for type_, field in fields if type_ is schema.query_type)
        found += [scopes for field in roots for scopes in of_arguments(schema, field, given)]
    return frozenset().union(*found)


def of_arguments(schema: GraphQLSchema, field: FieldNode, given: Any) -> Iterable[frozenset[Scope]]:
    assert schema.query_type
    name = field.name.value
    try:
        arguments = get_argument_values(schema.query_type.fields[name], field, given)
    except (GraphQLError, KeyError):
        return []
    if name == "clients":
        # The list tells of names by the order that it is in, and by what is searched.
        by = (arguments.get("orderBy") or {}).get("field", "NAME")
        told = by == "NAME" or arguments.get("search") is not None
        return [frozenset({PHI})] if told else []
    ids = [arguments["id"]] if name == "node" else arguments["ids"] if name == "nodes" else []
    return map(of_id, ids)


def named(
    schema: GraphQLSchema, fragments: Any, selections: Any, type_: Any
) -> Iterator[tuple[Any, FieldNode]]:
    """Fields by the type of their object, also where a fragment calls it a Node."""
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
