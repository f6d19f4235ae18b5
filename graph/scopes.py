"""What of the contract is health information: the one list, and the refusal without `phi:read`."""

from collections.abc import Collection
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    visit,
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
    """The fields that need `phi:read`, as `Type.field`, of all that the operation names."""
    found: set[str] = set()
    fragments, waiting, opened = fragments_of(operation.document), [operation.node], set[str]()
    while waiting:
        fields = Fields(schema)
        visit(waiting.pop(), TypeInfoVisitor(fields.types, fields))
        found |= fields.found
        for name in fields.spreads - opened:
            opened.add(name)
            waiting.append(fragments[name])  # type: ignore[arg-type]
    return tuple(sorted(filter(is_health_information, found)))


def is_health_information(coordinate: str) -> bool:
    return coordinate in PHI_FIELDS or coordinate.partition(".")[0] in PHI_TYPES


class Fields(Visitor):
    """Collects the fields and the fragments that a piece of a document names."""

    def __init__(self, schema: GraphQLSchema) -> None:
        super().__init__()
        self.types = TypeInfo(schema)
        self.found: set[str] = set()
        self.spreads: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent = self.types.get_parent_type()
        if parent is not None and not node.name.value.startswith("__"):
            self.found.add(f"{get_named_type(parent).name}.{node.name.value}")

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.spreads.add(node.name.value)


def scope_required(fields: Collection[str], scopes: Collection[Scope]) -> GraphQLError | None:
    """Why a viewer with these scopes is refused, as a whole; nothing where they are enough."""
    if not fields or Scope.PHI_READ in scopes:
        return None
    error = refusal("SCOPE_REQUIRED", f"needs the scope phi:read: {', '.join(fields)}")
    error.extensions = {**(error.extensions or {}), "scope": "phi:read", "fields": list(fields)}
    return error
