"""Refusals of a mutation that are found before its first field runs.

A field's effect cannot be undone. So everything that depends only on the document and its variables
is checked first: arguments, directives, and the reading of the results.
"""

from collections.abc import Callable, Sequence

from graphql import GraphQLError

from planner.emitter import Emitted, Outcomes
from planner.operation import Errors, with_code
from planner.tree import LeafPlan, ObjectPlan, OperationPlan, ResultPlan, TypeNamePlan


def foresee_results(tree: OperationPlan, emit_exactly: Callable[[Outcomes], Emitted]) -> Errors:
    """Return the errors that reading the results would cause, for any of their possible types."""
    types = {
        field.key: types_to_try(field.value)
        for field in tree.root.fields
        if isinstance(field.value, ResultPlan)
    }
    found: list[GraphQLError] = []
    for number in range(max(map(len, types.values()), default=0)):
        outcomes = {key: names[number % len(names)] for key, names in types.items()}
        found += emit_exactly(outcomes).refusals
    places = {(id(error.nodes[0]) if error.nodes else 0, error.message): error for error in found}
    return [with_code(error, "BAD_USER_INPUT") for error in places.values()]


def types_to_try(result: ResultPlan) -> Sequence[str]:
    """Return the types to try for a field: all with more than leaves selected, otherwise one."""
    of_rows = [name for name, inside in result.results.items() if reads_rows(inside)]
    return of_rows or list(result.results)[:1]


def reads_rows(inside: ObjectPlan) -> bool:
    """Return whether an object has more than leaves."""
    leaves = LeafPlan | TypeNamePlan
    return inside.refusal is not None or not all(
        isinstance(field.value, leaves) for field in inside.fields
    )
