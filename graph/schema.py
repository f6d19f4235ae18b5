"""The schema put together: what `schema.graphql` is exported from."""

import strawberry
from graphql import (
    GraphQLInputObjectType,
    GraphQLSchema,
    lexicographic_sort_schema,
    print_schema,
)

import graph.enums  # noqa: F401  (makes the enums part of the language)
from graph.mutation import Mutation
from graph.query import Query
from graph.scalars import CONFIG
from resolvers.planner import reference


def schema() -> strawberry.Schema:
    """The public language, with every planned field read from its statement."""
    made = strawberry.Schema(Query, Mutation, config=CONFIG)
    reference.install(made._schema)
    mark_one_of(made._schema)
    return made


def mark_one_of(schema: GraphQLSchema) -> None:
    """Tell graphql-core which input types are OneOf: Strawberry tells only its own rules.

    Validation, the coercion of variables, introspection and the printed schema then agree.
    """
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            definition = type_.extensions.get("strawberry-definition")
            type_.is_one_of = definition is not None and definition.is_one_of


def sdl(made: strawberry.Schema) -> str:
    """The contract as text, in an order that doesn't change by itself."""
    return print_schema(lexicographic_sort_schema(made._schema)) + "\n"
