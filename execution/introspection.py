"""The introspection fields of GraphQL, and the setting that permits them."""

import enum

INTROSPECTION = frozenset({"__schema", "__type"})
# Reveals nothing, and is open to everybody.
TYPENAME = "__typename"


class Introspection(enum.StrEnum):
    """The viewers that may query the schema."""

    EVERYONE = "everyone"
    VIEWERS = "viewers"
    NOBODY = "nobody"
