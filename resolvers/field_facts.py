"""Facts of the schema's fields: the scopes and the audit of each.

The fields in `graph/` state their facts. Limits, scopes and the audit log read them from the
definitions of the finished schema.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

from graphql import GraphQLField, GraphQLNamedType, GraphQLObjectType, GraphQLSchema

from models import Scope

# The keys of a field's facts in its metadata, and of a class's scopes among its attributes.
FACTS, REQUIRED = "facts", "__required_scopes__"

Scopes = frozenset[Scope]
NO_SCOPE: Scopes = frozenset()
BILLING, PHI = frozenset({Scope.BILLING_READ}), frozenset({Scope.PHI_READ})
AGGREGATES, WRITING = frozenset({Scope.AGGREGATES_READ}), frozenset({Scope.BILLING_WRITE})

Class = TypeVar("Class", bound=type)


@dataclass(frozen=True)
class ArgumentScopes:
    """Scopes that a field needs with some values of its arguments."""

    scopes: Scopes
    applies: Callable[[Mapping[str, Any]], bool]


class ReadAudit(enum.Enum):
    """The clients whose data a field reads, for the audit log."""

    # Those of the objects that ids in the arguments name.
    BY_ID = enum.auto()
    # The same. Without an id, the viewer's only client.
    BY_ID_OR_SOLE_CLIENT = enum.auto()
    # All clients that the viewer has access to: a list or a sum over the whole practice.
    PRACTICE_WIDE = enum.auto()
    # All clients of a client or contact.
    OWN_CLIENTS = enum.auto()


@dataclass(frozen=True)
class FieldFacts:
    """The facts that a field states.

    `scopes` are needed in addition to those of the field's type and of the type that it returns;
    None if the field states none. `argument_scopes` are needed with some arguments, by a name for
    error messages.
    """

    scopes: Scopes | None = None
    argument_scopes: Mapping[str, ArgumentScopes] = field(default_factory=dict)
    audit: ReadAudit | None = None


class StatedFacts(TypedDict, total=False):
    """The facts as arguments of a function that declares a field."""

    scopes: Scopes
    argument_scopes: Mapping[str, ArgumentScopes]
    audit: ReadAudit | None


NO_FACTS = FieldFacts()


def facts_of(definition: GraphQLField) -> FieldFacts:
    """Return the facts of a field in the finished schema."""
    stated: FieldFacts = metadata_of(definition).get(FACTS, NO_FACTS)
    return stated


def metadata_of(definition: GraphQLField) -> Mapping[str, Any]:
    declared = definition.extensions.get("strawberry-definition")
    return declared.metadata if declared else {}


def object_fields(schema: GraphQLSchema) -> Iterator[tuple[GraphQLObjectType, str, GraphQLField]]:
    """Yield the fields of all object types, without those of introspection."""
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, definition in type_.fields.items():
                yield type_, name, definition


def needs(scopes: Scopes) -> Callable[[Class], Class]:
    """Return a decorator that states the scopes of a type of the schema.

    Every field of the type needs them, and so does every field that returns the type or a list of
    it: a token without the scopes must not learn that an object exists. A type that extends another
    has its scopes, unless it states its own.
    """

    def state(type_: Class) -> Class:
        setattr(type_, REQUIRED, scopes)
        return type_

    return state


def scopes_of_type(type_: GraphQLNamedType) -> Scopes | None:
    """Return the scopes that a type states, or None."""
    declared = type_.extensions.get("strawberry-definition")
    stated: Scopes | None = getattr(getattr(declared, "origin", None), REQUIRED, None)
    return stated
