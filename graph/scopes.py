"""What of the contract is health information: the one list, and the refusal without `phi:read`."""

from collections.abc import Collection
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    SelectionSetNode,
    get_named_type,
    is_object_type,
)

from models import Scope
from resolvers.planner.operation import Operation, refusal
from resolvers.planner.selection import fragments_of

# Types of which every field is health information.
PHI_TYPES = frozenset({"Session", "SuperbillLine", "Diagnosis"})

# Fields that are, of other types. What gives such a type is refused by its fields.
PHI_FIELDS = frozenset(
    {
        "AccountHistoryEntry.description",
        "Client.address",
        "Client.dateOfBirth",
        "Client.email",
        "Client.name",
        "Client.phone",
        "Invoice.notes",
        "InvoiceLine.description",
        "InvoiceLine.serviceCode",
        "InvoiceLine.session",
        "PaymentMethod.billingZip",
        "PaymentMethod.cardholderName",
        "StatementLine.description",
        "Superbill.diagnoses",
        "Superbill.lines",
        "Superbill.provider",
    }
)


def health_information(schema: GraphQLSchema, operation: Operation) -> tuple[str, ...]:
    """The fields that need `phi:read`, as `Type.field`, of all that the operation names.

    By the type of the object that they are of: a fragment on Node in a session asks of the session.
    """
    found: set[str] = set()
    fragments, opened = fragments_of(operation.document), set[tuple[str, str]]()
    waiting: list[tuple[SelectionSetNode, Any]] = [
        (operation.node.selection_set, schema.query_type)
    ]
    while waiting:
        set_, type_ = waiting.pop()
        for node in set_.selections:
            if isinstance(node, FieldNode):
                name = node.name.value
                found.add(f"{type_.name}.{name}")
                if node.selection_set and name in type_.fields:
                    waiting.append((node.selection_set, get_named_type(type_.fields[name].type)))
                continue
            fragment: Any = node
            if isinstance(node, FragmentSpreadNode):
                fragment = fragments[node.name.value]
                if (node.name.value, type_.name) in opened:
                    continue
                opened.add((node.name.value, type_.name))
            waiting.append((fragment.selection_set, narrowed(schema, fragment, type_)))
    return tuple(sorted(filter(is_health_information, found)))


def narrowed(schema: GraphQLSchema, fragment: Any, type_: Any) -> Any:
    """The type of the objects that a fragment is for, among those of a type."""
    if fragment.type_condition is None:
        return type_
    condition = schema.type_map[fragment.type_condition.name.value]
    return condition if is_object_type(condition) else type_


def is_health_information(coordinate: str) -> bool:
    type_, _, name = coordinate.partition(".")
    return coordinate in PHI_FIELDS or (type_ in PHI_TYPES and not name.startswith("__"))


def scope_required(fields: Collection[str], scopes: Collection[Scope]) -> GraphQLError | None:
    """Why a viewer with these scopes is refused, as a whole; nothing where they are enough."""
    if not fields or Scope.PHI_READ in scopes:
        return None
    error = refusal("SCOPE_REQUIRED", f"needs the scope phi:read: {', '.join(fields)}")
    error.extensions = {**(error.extensions or {}), "scope": "phi:read", "fields": list(fields)}
    return error
