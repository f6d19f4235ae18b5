"""The list of all fields of the schema, with the facts that they state."""

from collections.abc import Iterator

from graphql import GraphQLField, GraphQLSchema

from models import Scope
from resolvers.field_facts import Scopes, facts_of, object_fields, scopes_of_field
from resolvers.list_size import list_size


def field_lines(schema: GraphQLSchema) -> Iterator[str]:
    """Yield a line for each field, and for each argument that needs more scopes than its field."""
    for type_, name, definition in object_fields(schema):
        coordinate, scopes = f"{type_.name}.{name}", scopes_of_field(type_, name)
        yield line(coordinate, scopes, ", ".join(costs_and_audit(definition)))
        for argument, stated in facts_of(definition).argument_scopes.items():
            yield line(f"{coordinate}({argument})", scopes | stated.scopes, "")


def line(coordinate: str, scopes: Scopes, more: str) -> str:
    needed = " ".join(scope.written for scope in Scope if scope in scopes)
    return f"{coordinate:<44}  {needed or '-':<38}  {more}".rstrip()


def costs_and_audit(definition: GraphQLField) -> Iterator[str]:
    size, facts = list_size(definition), facts_of(definition)
    if size:
        most = f" of at most {size.most}" if size.most else ""
        yield f"{size.assumed}{most} items"
    if facts.cost.objects:
        yield f"{facts.cost.objects} objects more"
    if scan := facts.cost.scan:
        given = f" with {', '.join(sorted(scan.arguments))}" if scan.arguments else ""
        yield f"{scan.worked_out:g} for each {scan.table}{given}"
    if facts.audit:
        yield f"audit: {facts.audit}"
