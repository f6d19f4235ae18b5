"""The personal data that an operation reads, for the audit log."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from graphql import GraphQLNamedType
from graphql.execution.values import VariableValues

from execution.read_audit import PERSONAL_ID, ReadScope, RequestReads
from execution.selected_fields import SelectedField
from planner.operation import Errors, Operation
from resolvers.field_facts import ReadAudit, scopes_of_type

BY_ID = (ReadAudit.BY_ID, ReadAudit.BY_ID_OR_SOLE_CLIENT)
# Maximum characters of an operation's name, of a text in arguments, and of all arguments.
LONGEST_NAME, LONGEST_TEXT, LONGEST_ARGUMENTS = 200, 200, 10_000


def read_scope(operation: Operation, selected: Sequence[SelectedField]) -> ReadScope | None:
    """Return the read scope of an operation, or None if it reads no personal data."""
    personal = {one.coordinate for one in selected if is_personal(one.type)}
    # A list or an id alone already reveals that an object exists.
    ways = [one for one in selected if one.facts.audit]
    if not personal and not ways:
        return None
    return ReadScope(
        operation_name(operation),
        tuple(sorted(personal or {one.coordinate for one in ways})),
        by_id=tuple(one for one in ways if one.facts.audit in BY_ID),
        practice_wide=tuple(one for one in ways if one.facts.audit is ReadAudit.PRACTICE_WIDE),
        lists_own_clients=any(one.facts.audit is ReadAudit.OWN_CLIENTS for one in ways),
    )


def is_personal(type_: GraphQLNamedType) -> bool:
    """Return whether a type has personal data: whether it needs a scope."""
    return bool(scopes_of_type(type_))


def operation_name(operation: Operation) -> str | None:
    name = operation.node.name
    return name.value[:LONGEST_NAME] if name else None


def reads_of(scope: ReadScope | None, variables: VariableValues | Errors) -> RequestReads | None:
    """Return the reads of a request: its operation's read scope and the ids in its arguments."""
    if scope is None:
        return None
    if not isinstance(variables, VariableValues):
        return RequestReads(
            scope.name, scope.fields, of_all=scope.lists_own_clients or not scope.by_id
        )
    ids, of_sole = set[str](), False
    for selected, arguments in accepted(scope.by_id, variables):
        named = set(ids_among(arguments))
        ids |= named
        of_sole |= not named and means_sole_client(selected, arguments)
    wide: dict[str, list[Any]] = {}
    for selected, arguments in accepted(scope.practice_wide, variables):
        wide.setdefault(selected.coordinate, []).append(shorten(arguments))
    return RequestReads(
        scope.name,
        scope.fields,
        ids=frozenset(ids),
        of_all=scope.lists_own_clients or bool(wide) or not scope.by_id,
        of_sole=of_sole,
        arguments=arguments_json(wide) if wide else None,
    )


def means_sole_client(selected: SelectedField, arguments: Mapping[str, Any]) -> bool:
    """Return whether a field without an id refers to the viewer's only client."""
    is_optional = selected.facts.audit is ReadAudit.BY_ID_OR_SOLE_CLIENT
    return is_optional and arguments.get("id") is None


def accepted(
    fields: Iterable[SelectedField], variable_values: VariableValues
) -> Iterator[tuple[SelectedField, Mapping[str, Any]]]:
    """Yield fields with their arguments, except those that execution will refuse."""
    for selected in fields:
        arguments = selected.arguments(variable_values)
        if arguments is not None:
            yield selected, arguments


def ids_among(value: Any) -> Iterator[str]:
    """Yield the ids of personal data in the value of an argument."""
    if isinstance(value, str):
        if PERSONAL_ID.fullmatch(value):
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from ids_among(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from ids_among(inner)


def shorten(value: Any) -> Any:
    """Return the value with each long text cut, so that none displaces another."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {name: shorten(inner) for name, inner in value.items()}
    return [shorten(inner) for inner in value] if isinstance(value, list) else value


def arguments_json(arguments: Mapping[str, Any]) -> str:
    """Return arguments as JSON text, with enums by their values and dates in the schema's form."""
    text = json.dumps(
        arguments, ensure_ascii=False, default=lambda value: getattr(value, "value", str(value))
    )
    return text[:LONGEST_ARGUMENTS]
