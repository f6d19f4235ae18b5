"""The introspection fields of GraphQL, and the setting that permits them."""

import enum

from resolvers.planner.operation import Errors, refusal

INTROSPECTION = frozenset({"__schema", "__type"})
# Reveals nothing, and is open to everybody.
TYPENAME = "__typename"


class Introspection(enum.StrEnum):
    """The viewers that may query the schema."""

    EVERYONE = "everyone"
    VIEWERS = "viewers"
    NOBODY = "nobody"


def introspection_off() -> Errors:
    return [refusal("INTROSPECTION_OFF", "introspection is turned off on this server")]
