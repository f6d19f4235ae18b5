"""What of the contract is health information, and whether an operation asks for some."""

from collections.abc import Iterator, Mapping
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

HEALTH: dict[str, frozenset[str]] = {
    "AccessLogEntry": frozenset({"name"}),
    "Client": frozenset({"name", "email", "phone", "dateOfBirth", "address"}),
    "InvoiceLine": frozenset({"description", "serviceCode", "session"}),
    "Invoice": frozenset({"notes"}),
    "Superbill": frozenset({"provider", "lines", "diagnoses", "completeness"}),
    "StatementLine": frozenset({"description"}),
    "AccountHistoryEntry": frozenset({"description"}),
    "PaymentMethod": frozenset({"cardholderName", "billingZip"}),
}
# All that is said of a session or of where a document opens, by whichever name.
WHOLLY = frozenset({"Session", "DocumentLink"})


def health_information(
    schema: GraphQLSchema,
    document: DocumentNode,
    node: OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> bool:
    """Whether any field asks for it, skipped ones too."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    fields = list(named(schema, fragments, node.selection_set, schema.query_type))
    if any(is_health(type_.name, field.name.value) for type_, field in fields):
        return True
    given = get_variable_values(schema, node.variable_definitions or (), dict(variables))
    lists = [field for type_, field in fields if (type_.name, field.name.value) == CLIENTS]
    return not isinstance(given, list) and any(tells(schema, field, given) for field in lists)


def is_health(type_: str, field: str) -> bool:
    return field in HEALTH.get(type_, ()) or (type_ in WHOLLY and field != "__typename")


# A list of clients tells of names by the order that it is in, and by what is searched.
CLIENTS = ("Query", "clients")


def tells(schema: GraphQLSchema, field: FieldNode, given: Any) -> bool:
    assert schema.query_type
    try:
        arguments = get_argument_values(schema.query_type.fields["clients"], field, given)
    except GraphQLError:
        return False
    by = (arguments.get("orderBy") or {}).get("field", "NAME")
    return by == "NAME" or arguments.get("search") is not None


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
