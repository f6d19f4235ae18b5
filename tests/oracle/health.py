"""What of the contract is health information, and which of it an operation names."""

from collections.abc import Iterator
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    get_named_type,
)

HEALTH: dict[str, frozenset[str]] = {
    "Client": frozenset({"name", "email", "phone", "dateOfBirth", "address"}),
    "InvoiceLine": frozenset({"description", "serviceCode", "session"}),
    "Invoice": frozenset({"notes"}),
    "Superbill": frozenset({"provider", "lines", "diagnoses", "completeness"}),
    "StatementLine": frozenset({"description"}),
    "AccountHistoryEntry": frozenset({"description"}),
    "PaymentMethod": frozenset({"cardholderName", "billingZip"}),
}
# All that is said of a session, by whichever name.
WHOLLY = frozenset({"Session"})


def health_information(
    schema: GraphQLSchema, document: DocumentNode, node: OperationDefinitionNode
) -> set[tuple[str, str]]:
    """The type and name of each such field, skipped ones too."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    return set(named(schema, fragments, node.selection_set, schema.query_type))


def named(
    schema: GraphQLSchema, fragments: Any, selections: Any, type_: Any
) -> Iterator[tuple[str, str]]:
    """Fields by the type of their object, also where a fragment calls it a Node."""
    for node in selections.selections:
        if not isinstance(node, FieldNode):
            fragment = node if isinstance(node, InlineFragmentNode) else fragments[node.name.value]
            condition = fragment.type_condition.name.value if fragment.type_condition else "Node"
            inside = type_ if condition == "Node" else schema.type_map[condition]
            yield from named(schema, fragments, fragment.selection_set, inside)
            continue
        field = node.name.value
        if field in HEALTH.get(type_.name, ()) or (type_.name in WHOLLY and field != "__typename"):
            yield type_.name, field
        if node.selection_set:
            inner = get_named_type(type_.fields[field].type)
            yield from named(schema, fragments, node.selection_set, inner)
