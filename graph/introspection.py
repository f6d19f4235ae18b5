"""The schema's own fields, and who may ask for them."""

import enum

from resolvers.planner.operation import Errors, refusal

INTROSPECTION = frozenset({"__schema", "__type"})
# It tells nothing, and anybody may ask for it.
TYPENAME = "__typename"


class Introspection(enum.StrEnum):
    """Who may ask what the schema is."""

    EVERYONE = "everyone"
    VIEWERS = "viewers"
    NOBODY = "nobody"


def introspection_off() -> Errors:
    return [refusal("INTROSPECTION_OFF", "this server doesn't tell its schema")]
