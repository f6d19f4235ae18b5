"""Fields that take ids and fields that return rows, according to the server's schema."""

from collections.abc import Iterator
from typing import Any

from graphql import (
    GraphQLSchema,
    get_named_type,
    is_input_object_type,
    is_interface_type,
    is_object_type,
    is_union_type,
)


def takers_of_ids(schema: GraphQLSchema) -> Iterator[str]:
    """Yield each argument that is an id or contains one, as `Type.field(argument:)`."""
    for type_ in schema.type_map.values():
        if not (is_object_type(type_) or is_interface_type(type_)) or type_.name.startswith("__"):
            continue
        for name, field in type_.fields.items():
            for argument, of in field.args.items():
                for path in ids_in(get_named_type(of.type), argument, frozenset()):
                    yield f"{type_.name}.{name}({path}:)"


def ids_in(type_: Any, path: str, around: frozenset[str]) -> Iterator[str]:
    if type_.name == "ID":
        yield path
    elif is_input_object_type(type_) and type_.name not in around:
        for name, field in type_.fields.items():
            inner = get_named_type(field.type)
            yield from ids_in(inner, f"{path}.{name}", around | {type_.name})


def links_of(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    """Yield each field that leads to a type with an id, by its type and name."""
    leading = types_that_lead(schema)
    for name in sorted(leading):
        type_: Any = schema.type_map[name]
        if not is_object_type(type_) or name.endswith(("Connection", "Edge")):
            continue
        for field, of in type_.fields.items():
            if get_named_type(of.type).name in leading:
                yield name, field


def types_that_lead(schema: GraphQLSchema) -> set[str]:
    """Return the types with an id, and those from which one of them can be reached."""
    types: dict[str, Any] = {
        name: type_
        for name, type_ in schema.type_map.items()
        if (is_object_type(type_) or is_interface_type(type_) or is_union_type(type_))
        and not name.startswith("__")
    }
    leading = {name for name in types if name in with_ids(schema)}
    while True:
        more = {
            name
            for name, type_ in types.items()
            if any(inner in leading for inner in named_by(type_))
        }
        if more <= leading:
            return leading
        leading |= more


def named_by(type_: Any) -> Iterator[str]:
    if is_union_type(type_):
        yield from (member.name for member in type_.types)
    else:
        yield from (get_named_type(field.type).name for field in type_.fields.values())


def with_ids(schema: GraphQLSchema) -> set[str]:
    """Return the types with an id field."""
    return {
        name
        for name, type_ in schema.type_map.items()
        if (is_object_type(type_) or is_interface_type(type_))
        and any(get_named_type(field.type).name == "ID" for field in type_.fields.values())
    }
