"""What can be asked for again by its id."""

from typing import Any

import strawberry

from resolvers.ids import api_id
from resolvers.planner.sources import Value, field


@strawberry.interface(description="Something with an id of its own.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Opaque, and of this kind of thing: it begins with the kind's own prefix."
    )


def identity(kind: str) -> Any:
    """The field `id` of a kind of thing."""
    return field(Value(api_id(kind)), description=f"Begins with `{kind}_`; otherwise opaque.")
