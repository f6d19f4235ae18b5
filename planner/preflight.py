"""Refusals of a mutation that are found before its first field runs.

A field's effect cannot be undone. So everything that depends only on the document and its variables
is checked first: arguments, directives, and the reading of the results.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLUnionType,
    SelectionSetNode,
    get_named_type,
)

from planner.compiler import MutationCall, Outcomes, Planner
from planner.deferred import Unplannable
from planner.operation import Errors, Operation, with_code
from planner.selection import Selection


def reads_conditionally(document: DocumentNode) -> bool:
    """Return whether reading the results may be refused, because of arguments or directives."""
    roots = [definition.selection_set for definition in document.definitions]  # type: ignore[attr-defined]
    waiting: list[tuple[SelectionSetNode, bool]] = [(root, True) for root in roots]
    while waiting:
        set_, is_root = waiting.pop()
        for node in set_.selections:
            inside = getattr(node, "selection_set", None)
            is_field = isinstance(node, FieldNode)
            if node.directives or (is_field and not is_root and getattr(node, "arguments", ())):
                return True
            if inside is not None:
                waiting.append((inside, is_root and not is_field))
    return False


def foresee_results(
    operation: Operation,
    acts: Sequence[MutationCall],
    selection: Selection,
    planner: Callable[[Outcomes], Planner],
) -> Errors:
    """Return the errors that reading the results would cause, for any of their possible types."""
    types = {act.response_key: list(result_types(act, selection)) for act in acts}
    found: list[GraphQLError] = []
    for number in range(max(map(len, types.values()), default=0)):
        trial = planner({key: names[number % len(names)] for key, names in types.items()})
        try:
            trial.compile(operation.node)
        except Unplannable:
            continue
        finally:
            found += trial.refusals
    places = {(id(error.nodes[0]) if error.nodes else 0, error.message): error for error in found}
    return [with_code(error, "BAD_USER_INPUT") for error in places.values()]


def result_types(act: MutationCall, selection: Selection) -> Iterator[str]:
    """Yield the types to try for a field: all with more than leaves selected, otherwise one."""
    result = get_named_type(act.definition.type)
    members: Sequence[Any] = result.types if isinstance(result, GraphQLUnionType) else (result,)
    of_rows = [type_.name for type_ in members if selects_rows(act, type_, selection)]
    return iter(of_rows or [members[0].name])


def selects_rows(act: MutationCall, type_: GraphQLObjectType, selection: Selection) -> bool:
    sets = [node.selection_set for node in act.nodes if node.selection_set]
    try:
        asked = chain.from_iterable(selection.fields(type_, sets).values())
        return any(node.selection_set or node.arguments for node in asked)
    except GraphQLError:
        return True
