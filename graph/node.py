"""Objects that can be queried by id."""

from typing import Any

import strawberry

from planner.sources import Value, field
from resolvers.ids import api_id


@strawberry.interface(description="An object with an id.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="An opaque id, with a prefix for the type of the object."
    )


def identity(kind: str) -> Any:
    """Return the field `id` of a type; `kind` is the prefix of the type's ids."""
    return field(Value(api_id(kind)), description=f"An opaque id with the prefix `{kind}_`.")
