"""Directives by which `schema.graphql` states the facts of fields.

`@requiresScopes` has the form and the meaning of Apollo's directive, and `@cost` and `@listSize`
those of IBM's specification of cost directives: https://ibm.github.io/graphql-specs/cost-spec.html
"""

from collections.abc import Iterator, Sequence
from typing import Any

from graphql import (
    DirectiveLocation,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLDirective,
    GraphQLField,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    parse,
)

from models import Scope
from resolvers.field_facts import NO_SCOPE, Scopes, facts_of, scopes_of_field, scopes_of_type
from resolvers.list_size import list_size

NAMES = GraphQLList(GraphQLNonNull(GraphQLString))
REQUIRES_SCOPES = GraphQLDirective(
    "requiresScopes",
    [DirectiveLocation.FIELD_DEFINITION, DirectiveLocation.INTERFACE, DirectiveLocation.OBJECT],
    {
        "scopes": GraphQLArgument(
            GraphQLNonNull(GraphQLList(GraphQLNonNull(NAMES))),
            description="Alternatives, each a list of scopes that are needed together, as tokens"
            " have them: `billing:read`.",
        )
    },
    description="The scopes that a token needs for a field. A field also needs those of its type"
    " and those of the type that it returns.",
)
COST = GraphQLDirective(
    "cost",
    [DirectiveLocation.FIELD_DEFINITION],
    {"weight": GraphQLArgument(GraphQLNonNull(GraphQLString), description="The cost, a number.")},
    description="The cost of a field. Other fields cost 1 if they return an object, and 0 if they"
    " return a value. Lists and sums over a whole practice cost its rows as well, as their"
    " descriptions say.",
)
LIST_SIZE = GraphQLDirective(
    "listSize",
    [DirectiveLocation.FIELD_DEFINITION],
    {
        "assumedSize": GraphQLArgument(
            GraphQLInt, description="The number of items, if no argument asks for a number."
        ),
        "slicingArguments": GraphQLArgument(
            NAMES, description="The arguments that ask for a number of items."
        ),
        "sizedFields": GraphQLArgument(
            NAMES, description="The lists with these items, if the field returns a connection."
        ),
        "requireOneSlicingArgument": GraphQLArgument(
            GraphQLBoolean,
            default_value=True,
            description="Whether exactly one of the slicing arguments has to be given.",
        ),
    },
    description="The number of items in a list, by which the cost of an item is multiplied.",
)
DIRECTIVES = (REQUIRES_SCOPES, COST, LIST_SIZE)


def requires_scopes(scopes: Scopes) -> str:
    named = ", ".join(f'"{scope.written}"' for scope in Scope if scope in scopes)
    return f" @requiresScopes(scopes: [[{named}]])" if scopes else ""


def directives_of_field(type_: Any, name: str, definition: GraphQLField) -> str:
    """Return the directives of a field as text, each after a blank."""
    scopes = scopes_of_field(type_, name) - (scopes_of_type(type_) or NO_SCOPE)
    return requires_scopes(scopes) + cost(definition) + sized(definition)


def cost(definition: GraphQLField) -> str:
    objects = facts_of(definition).cost.objects
    is_object = is_composite_type(get_named_type(definition.type))
    return f' @cost(weight: "{objects + is_object}")' if objects else ""


def sized(definition: GraphQLField) -> str:
    size = list_size(definition)
    if size is None:
        return ""
    if is_list_type(get_nullable_type(definition.type)):
        return f" @listSize(assumedSize: {size.assumed})"
    return (
        f" @listSize(assumedSize: {size.assumed}, slicingArguments: {names(size.arguments)},"
        f' sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false)'
    )


def names(items: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


def with_directives(text: str, schema: GraphQLSchema) -> str:
    """Return a printed schema with the directives of its types and fields."""
    parts, end = [], 0
    for place, directives in places(text, schema):
        parts += [text[end:place], directives]
        end = place
    return "".join([*parts, text[end:]])


def places(text: str, schema: GraphQLSchema) -> Iterator[tuple[int, str]]:
    """Yield places in a printed schema, in their order, and the directives to insert there."""
    for node in parse(text).definitions:
        if not isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
            continue
        type_ = schema.type_map[node.name.value]
        assert isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
        # The directives of a type follow its name and its interfaces.
        head = [node.name, *(node.interfaces or ())][-1]
        assert head.loc
        yield head.loc.end, requires_scopes(scopes_of_type(type_) or NO_SCOPE)
        for field in node.fields or ():
            name = field.name.value
            assert field.loc
            yield field.loc.end, directives_of_field(type_, name, type_.fields[name])
