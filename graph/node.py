"""Objects that can be queried by id."""

from typing import Any, Unpack

import strawberry

from graph.fields import field
from planner.sources import Value
from resolvers.field_facts import StatedFacts
from resolvers.ids import api_id


@strawberry.interface(description="An object with an id.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="An opaque id, with a prefix for the type of the object."
    )


def identity(kind: str, **facts: Unpack[StatedFacts]) -> Any:
    """Return the field `id` of a type; `kind` is the prefix of the type's ids."""
    description = f"An opaque id with the prefix `{kind}_`."
    return field(Value(api_id(kind)), description=description, **facts)
