"""The schema put together: what `schema.graphql` is exported from."""

import strawberry
from graphql import lexicographic_sort_schema, print_schema

import graph.enums  # noqa: F401  (makes the enums part of the language)
from graph.mutation import Mutation
from graph.query import Query
from graph.scalars import CONFIG
from resolvers.planner import reference


def schema() -> strawberry.Schema:
    """The public language, with every planned field read from its statement."""
    made = strawberry.Schema(Query, Mutation, config=CONFIG)
    reference.install(made._schema)
    return made


def sdl(made: strawberry.Schema) -> str:
    """The contract as text, in an order that doesn't change by itself."""
    return print_schema(lexicographic_sort_schema(made._schema)) + "\n"
