"""The complete schema, from which `schema.graphql` is exported."""

import strawberry
from graphql import (
    GraphQLInputObjectType,
    GraphQLSchema,
    lexicographic_sort_schema,
    print_schema,
)

import graph.enums  # noqa: F401  (adds the enums to the schema)
from graph.directives import DIRECTIVES, with_directives
from graph.mutations.mutation import Mutation
from graph.scalars import CONFIG
from graph.types.query import Query
from planner import fallback_executor


def schema() -> strawberry.Schema:
    """Return the public schema. Every planned field reads its value from its statement's result."""
    made = strawberry.Schema(Query, Mutation, config=CONFIG)
    fallback_executor.install(made._schema)
    mark_one_of(made._schema)
    made._schema.directives += DIRECTIVES
    return made


def mark_one_of(schema: GraphQLSchema) -> None:
    """Mark OneOf input types for graphql-core, since Strawberry marks them for its own rules only.

    Validation, variable coercion, introspection and the printed schema then agree.
    """
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            definition = type_.extensions.get("strawberry-definition")
            type_.is_one_of = definition is not None and definition.is_one_of


def sdl(made: strawberry.Schema) -> str:
    """Return the schema as text with its directives, sorted so that the order is stable."""
    text = print_schema(lexicographic_sort_schema(made._schema)) + "\n"
    return with_directives(text, made._schema)
