"""What of the contract is health information: the one list, and the refusal without `phi:read`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

from resolvers.clients import ClientOrderField
from resolvers.planner.operation import Operation, coerced, refusal
from resolvers.planner.selection import fragments_of

# Types of which every field is health information.
PHI_TYPES = frozenset({"Session", "SuperbillLine", "Diagnosis", "DocumentLink"})

# Fields that are, of other types. What gives such a type is refused by its fields.
PHI_FIELDS = frozenset(
    {
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
    named = list(fields_of(schema, operation))
    told = frozenset(coordinate for coordinate, _ in named if is_health_information(coordinate))
    return HealthInformation(told, tuple(field for field in named if field[0] in PHI_ARGUMENTS))


def is_health_information(coordinate: str) -> bool:
    type_, _, name = coordinate.partition(".")
    return coordinate in PHI_FIELDS or (type_ in PHI_TYPES and not name.startswith("__"))


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


def scope_required(coordinates: Sequence[str]) -> GraphQLError:
    """Why a viewer without the scope is refused, as a whole."""
    error = refusal("SCOPE_REQUIRED", f"needs the scope phi:read: {', '.join(coordinates)}")
    more = {"scope": "phi:read", "fields": list(coordinates)}
    error.extensions = {**(error.extensions or {}), **more}
    return error
