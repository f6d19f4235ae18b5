"""The text of a plan tree, one line a field, for `portal explain --plan` and for tests."""

import datetime as dt
import enum
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from planner.deferred import Deferred, VariablePath
from planner.sources import Value
from planner.tree import (
    ConnectionPlan,
    EmbeddedListPlan,
    EmbeddedPlan,
    FieldPlan,
    LeafPlan,
    NodeListPlan,
    NodePlan,
    ObjectPlan,
    OperationPlan,
    PageFactPlan,
    PageItemsPlan,
    RefusalPlan,
    ResolverPlan,
    ResultPlan,
    RowListPlan,
    RowPlan,
    TypeNamePlan,
    ValuePlan,
)

# A line of the text: the field at its depth, and the way to read its value.
Line = tuple[str, str]


def tree_text(operation: OperationPlan) -> str:
    """Return an operation as text: each field with its type, and the way to read its value."""
    lines = list(object_lines(operation.root, 1))
    width = max((len(left) for left, right in lines if right), default=0)
    head = f"{operation.kind} {operation.name}" if operation.name else operation.kind
    return "\n".join([head, *(f"{left:<{width}}  {right}".rstrip() for left, right in lines)])


def object_lines(inside: ObjectPlan, depth: int) -> Iterator[Line]:
    if inside.refusal is not None:
        yield "  " * depth + "…", f"refused: {inside.refusal.message}"
    for field in inside.fields:
        yield from field_lines(field, depth)


def field_lines(field: FieldPlan, depth: int) -> Iterator[Line]:
    name = field.name if field.key == field.name else f"{field.key}: {field.name}"
    objects = list(objects_of(field.value))
    type_ = f" {objects[0].type_name}" if len(objects) == 1 else ""
    yield "  " * depth + name + type_, value_text(field.value)
    if len(objects) == 1:
        yield from object_lines(objects[0], depth + 1)
    else:
        yield from lines_by_type(objects, depth + 1)


def lines_by_type(objects: Sequence[ObjectPlan], depth: int) -> Iterator[Line]:
    """Yield the fields of each possible type. Types with the same fields are listed together."""
    types: dict[tuple[Line, ...], list[str]] = {}
    for inside in objects:
        types.setdefault(tuple(object_lines(inside, depth + 1)), []).append(inside.type_name)
    for lines, names in types.items():
        yield "  " * depth + "on " + ", ".join(names), ""
        yield from lines


def objects_of(value: ValuePlan) -> Iterator[ObjectPlan]:
    """Yield the objects that a field can have, one for each possible type."""
    match value:
        case (
            EmbeddedPlan()
            | EmbeddedListPlan()
            | RowPlan()
            | NodePlan()
            | RowListPlan()
            | ConnectionPlan()
            | PageItemsPlan()
        ):
            yield value.object
        case NodeListPlan(_, _, kinds):
            yield from (inside for _, inside in kinds.values())
        case ResultPlan(_, results):
            yield from results.values()


def value_text(value: ValuePlan) -> str:
    """Return the way to read a value, in a few words."""
    match value:
        case TypeNamePlan():
            return "String!, the type's name"
        case LeafPlan(source, type_):
            column = source.column if isinstance(source, Value) else None
            return f"{type_}, column {column}" if column else f"{type_}, expression"
        case PageFactPlan(fact, type_):
            return f"{type_}, {fact.value}"
        case EmbeddedPlan(source, arguments, _):
            given = f" with {arguments_text(arguments)}" if arguments_text(arguments) else ""
            return f"same row{given}" + (", or null" if source.when else "")
        case EmbeddedListPlan():
            return "list from the same row"
        case RowPlan(rows, arguments, _, is_nullable):
            return f"row of {call_text(rows, arguments)}" + (", or null" if is_nullable else "")
        case NodePlan(source, arguments, _, _):
            return f"row of {call_text(source.pick, arguments)}, or null"
        case RowListPlan(rows, arguments, _) | NodeListPlan(rows, arguments, _):
            return f"rows of {call_text(rows, arguments)}"
        case ConnectionPlan():
            return page_text(value)
        case PageItemsPlan():
            return "rows of the page"
        case ResultPlan(source, _):
            return f"result of {function_name(source.act)}"
        case RefusalPlan(code, message):
            return f"refused: {code} {message}"
        case ResolverPlan():
            return "resolved by graphql-core"


def page_text(page: ConnectionPlan) -> str:
    called = call_text(page.source.rows, page.arguments)
    bounds = arguments_text({f.name: getattr(page.bounds, f.name) for f in fields(page.bounds)})
    parts = [f"page of {called}", bounds]
    if not page.use.reads_rows:
        parts.append("rows not read")
    elif page.use.peeks:
        parts.append("and one row more")
    return ", ".join(filter(None, parts))


def call_text(function: Any, arguments: Mapping[str, Any]) -> str:
    return f"{function_name(function)}({arguments_text(arguments)})"


def function_name(function: Any) -> str:
    """Return a function's name with its module's, or those of the function that made it."""
    outer = function.__qualname__.partition(".<locals>")[0]
    return f"{function.__module__.rpartition('.')[2]}.{outer}"


def arguments_text(arguments: Mapping[str, Any]) -> str:
    """Return the arguments that are not null."""
    return ", ".join(
        f"{name}: {argument_text(value)}" for name, value in arguments.items() if value is not None
    )


def argument_text(value: Any) -> str:
    """Return a value as in a document, or the variable that has it."""
    match value:
        case Deferred():
            return str(value.read) if isinstance(value.read, VariablePath) else "a value"
        case enum.Enum():
            return value.name
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(argument_text, value))}]"
        case dt.date():
            return f'"{value.isoformat()}"'
        case str():
            return json.dumps(value, ensure_ascii=False)
    if is_dataclass(value):
        inside = {each.name: getattr(value, each.name) for each in fields(value)}
        return f"{{{arguments_text(inside)}}}"
    return str(value)
