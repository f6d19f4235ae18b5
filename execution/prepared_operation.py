"""A validated operation, and a request for it that may be answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from graphql import OperationType
from graphql.execution.values import VariableValues

from execution.read_audit import ReadScope, RequestReads
from execution.scopes import RequiredScopes
from execution.selected_fields import SelectedDocument
from execution.size import Measure
from planner.operation import Operation
from planner.plan import Plan


@dataclass(frozen=True)
class PreparedOperation:
    """A valid operation, its selected fields, its scopes, and the personal data that it reads."""

    operation: Operation
    selected: SelectedDocument
    needed: RequiredScopes
    reads: ReadScope | None
    # The kind of operation and its root fields, for logs: words of the schema alone.
    label: str

    @cached_property
    def is_mutation(self) -> bool:
        return self.operation.node.operation is OperationType.MUTATION

    @cached_property
    def reads_conditionally(self) -> bool:
        """Return whether arguments or directives can refuse the reading of a mutation's results."""
        node = self.operation.node
        roots = self.selected.operation(node).everything(deep=False)
        inside = (one for root in roots if root.inside for one in root.inside.everything())
        directives = Measure(self.selected, {}).operation(node).directives
        return directives > 0 or any(one.node.arguments for one in inside)


@dataclass(slots=True)
class PreparedRequest:
    """An operation with the coerced variables of a request, for a viewer whose scopes suffice.

    `scans` says how often the rows of a practice are read. `plan` is the plan if the request was
    planned before.
    """

    prepared: PreparedOperation
    variables: VariableValues
    reads: RequestReads | None
    scans: Mapping[str, float]
    plan: Plan | None = None
