"""What of the contract is health information: the one list, and the refusal without `phi:read`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_argument_values,
    get_named_type,
    visit,
)
from graphql.execution.values import VariableValues

from resolvers.clients import ClientOrderField
from resolvers.planner.operation import Operation, coerced, refusal
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
        "Superbill.completeness",
        "Superbill.diagnoses",
        "Superbill.lines",
        "Superbill.provider",
    }
)


# Arguments that tell it: a search finds names, an order by name shows which comes first.
PHI_ARGUMENTS: Mapping[str, Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "Query.clients": {
        "Query.clients(search:)": lambda given: given.get("search") is not None,
        "Query.clients(orderBy: NAME)": lambda given: by_name(given.get("orderBy")),
    }
}


def by_name(order: Mapping[str, Any] | None) -> bool:
    """Left out, the order is by name too."""
    return order is None or order["field"] is ClientOrderField.NAME


@dataclass(frozen=True)
class HealthInformation:
    """What of an operation needs `phi:read`: fields, and fields whose arguments may."""

    fields: frozenset[str]
    with_arguments: tuple[tuple[str, FieldNode], ...]

    def asked(
        self, schema: GraphQLSchema, operation: Operation, variables: Mapping[str, Any]
    ) -> list[str]:
        """The coordinates that these variables ask for."""
        found = set(self.fields)
        given = coerced(schema, operation, variables) if self.with_arguments else None
        if isinstance(given, VariableValues):
            for coordinate, node in self.with_arguments:
                found |= told_by_arguments(schema, coordinate, node, given)
        return sorted(found)


def told_by_arguments(
    schema: GraphQLSchema, coordinate: str, node: FieldNode, given: VariableValues
) -> set[str]:
    type_name, _, name = coordinate.partition(".")
    type_: Any = schema.type_map[type_name]
    try:
        arguments = get_argument_values(type_.fields[name], node, given)
    except GraphQLError:
        return set()  # refused in execution, for what is wrong with it
    return {told for told, tells in PHI_ARGUMENTS[coordinate].items() if tells(arguments)}


def health_information(schema: GraphQLSchema, operation: Operation) -> HealthInformation:
    """What needs `phi:read` of all that the operation names, whatever is skipped."""
    found: set[str] = set()
    with_arguments: list[tuple[str, FieldNode]] = []
    fragments, waiting, opened = fragments_of(operation.document), [operation.node], set[str]()
    while waiting:
        fields = Fields(schema)
        visit(waiting.pop(), TypeInfoVisitor(fields.types, fields))
        found |= fields.found
        with_arguments += fields.with_arguments
        for name in fields.spreads - opened:
            opened.add(name)
            waiting.append(fragments[name])  # type: ignore[arg-type]
    told = frozenset(filter(is_health_information, found))
    return HealthInformation(told, tuple(with_arguments))


def is_health_information(coordinate: str) -> bool:
    return coordinate in PHI_FIELDS or coordinate.partition(".")[0] in PHI_TYPES


class Fields(Visitor):
    """Collects the fields and the fragments that a piece of a document names."""

    def __init__(self, schema: GraphQLSchema) -> None:
        super().__init__()
        self.types = TypeInfo(schema)
        self.found: set[str] = set()
        self.with_arguments: list[tuple[str, FieldNode]] = []
        self.spreads: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent = self.types.get_parent_type()
        if parent is None or node.name.value.startswith("__"):
            return
        coordinate = f"{get_named_type(parent).name}.{node.name.value}"
        self.found.add(coordinate)
        if coordinate in PHI_ARGUMENTS:
            self.with_arguments.append((coordinate, node))

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.spreads.add(node.name.value)


def scope_required(coordinates: Sequence[str]) -> GraphQLError:
    """Why a viewer without the scope is refused, as a whole."""
    error = refusal("SCOPE_REQUIRED", f"needs the scope phi:read: {', '.join(coordinates)}")
    more = {"scope": "phi:read", "fields": list(coordinates)}
    error.extensions = {**(error.extensions or {}), **more}
    return error
