"""Documents checked without a request: their operations, errors and costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode

from execution.limits import limit_errors, too_deep, too_long
from execution.preparation import parse_and_check, prepare_operation
from execution.prepared_operation import PreparedOperation
from execution.selected_fields import SelectedDocument
from execution.size import Measure
from planner.operation import Errors, graphql_error

# The largest Int.
LARGEST = 2**31 - 1


class InvalidDocument(Exception):
    """A document that no request can have answered. `errors` gives the reasons."""

    def __init__(self, errors: Errors) -> None:
        super().__init__(" ".join(error.message for error in errors))
        self.errors = errors


@dataclass(frozen=True)
class CheckedOperation:
    """A valid operation of a document."""

    prepared: PreparedOperation

    @property
    def name(self) -> str | None:
        name = self.prepared.operation.node.name
        return name.value if name else None

    @property
    def type(self) -> str:
        return self.prepared.operation.node.operation.value

    @cached_property
    def cost(self) -> int:
        """Return the cost of a request without variables."""
        return self.cost_with({})

    @cached_property
    def most_cost(self) -> int:
        """Return the cost with the largest page of each variable that sets a page size."""
        return self.cost_with(dict.fromkeys(self.page_sizes, LARGEST))

    @cached_property
    def page_sizes(self) -> frozenset[str]:
        """Return the names of the variables that set page sizes."""
        measure = self.measure({})
        measure.operation(self.prepared.operation.node)
        return frozenset(measure.numbers)

    def cost_with(self, variables: Mapping[str, int]) -> int:
        return self.measure(variables).operation(self.prepared.operation.node).cost

    def measure(self, variables: Mapping[str, int]) -> Measure:
        return Measure(self.prepared.selected, variables)


def checked_operations(schema: GraphQLSchema, text: str) -> Iterator[CheckedOperation]:
    """Yield the operations of a document. Raise InvalidDocument if one has an error."""
    document = parsed(text)
    nodes = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if not nodes:
        raise InvalidDocument([graphql_error("GRAPHQL_VALIDATION_FAILED", "it has no operation")])
    for node in nodes:
        yield checked_operation(schema, document, node)


def parsed(text: str) -> DocumentNode:
    """Return a document after parsing."""
    document = too_long(text) or parse_and_check(text)
    if not isinstance(document, DocumentNode):
        raise InvalidDocument(document)
    return document


def checked_operation(
    schema: GraphQLSchema, document: DocumentNode, node: OperationDefinitionNode
) -> CheckedOperation:
    """Return an operation after the checks of its size and its validity."""
    try:
        errors = limit_errors(Measure(SelectedDocument(schema, document), {}), node)
    except RecursionError:
        errors = too_deep()
    prepared = errors or prepare_operation(schema, document, node)
    if not isinstance(prepared, PreparedOperation):
        raise InvalidDocument(prepared)
    return CheckedOperation(prepared)
