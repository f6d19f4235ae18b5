"""Facts of the schema's fields: the scopes, the cost and the audit of each.

The fields in `graph/` state their facts. Limits, scopes and the audit log read them from the
definitions of the finished schema.
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

from graphql import (
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
)

from models import Row, Scope

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


class ReadAudit(enum.StrEnum):
    """The clients whose data a field reads, for the audit log."""

    # Those of the objects that ids in the arguments name.
    BY_ID = "by ids"
    # The same. Without an id, the viewer's only client.
    BY_ID_OR_SOLE_CLIENT = "by ids, or the only client"
    # All clients that the viewer has access to: a list or a sum over the whole practice.
    PRACTICE_WIDE = "whole practice"
    # All clients of a client or contact.
    OWN_CLIENTS = "own clients"


# The cost of a row that is only visited, for example to be counted.
LOOKED_AT = 0.001


@dataclass(frozen=True)
class Scan:
    """A field's reads of a practice's rows; in the worst case it reads all rows of the table.

    `worked_out` is the cost of a row for which sums are computed. It applies to each row if one of
    the `arguments` is given, or always if there are no `arguments`. It is proportional to the time
    that PostgreSQL takes, and chosen so that all rows of a large practice cost less than the limit
    of an operation.
    """

    model: type[Row]
    worked_out: float = LOOKED_AT
    arguments: Set[str] = frozenset()

    @property
    def table(self) -> str:
        return str(self.model.__tablename__)

    def weight(self, given: Set[str]) -> float:
        """Return the cost of each row, given these arguments."""
        is_worked_out = not self.arguments or not self.arguments.isdisjoint(given)
        return self.worked_out if is_worked_out else LOOKED_AT


@dataclass(frozen=True)
class Cost:
    """Cost of a field, if it differs from that of its kind of source (`execution/field_cost.py`).

    `selects` are the SELECTs that it adds to the statement. The more expensive of the two databases
    counts; a test checks the numbers. Fields that read the whole ledger of a practice count for
    more than they take, to keep them few.

    `nesting` are the levels of rows that it adds around its selection: 1 for a sum over so many
    rows that it counts as a level, 0 for an object without other rows in it, which takes no more
    of the parser's stack than a sum.

    `objects` are the objects that it counts for in addition to those it returns, for the rows of a
    long report. `scan` are the rows of the whole practice that it reads.
    """

    selects: int | None = None
    nesting: int | None = None
    objects: int = 0
    scan: Scan | None = None


@dataclass(frozen=True)
class FieldFacts:
    """The facts that a field states.

    `scopes` are needed in addition to those of the field's type and of the type that it returns;
    None if the field states none. `argument_scopes` are needed with some arguments, by a name for
    error messages.
    """

    scopes: Scopes | None = None
    argument_scopes: Mapping[str, ArgumentScopes] = field(default_factory=dict)
    cost: Cost = Cost()
    audit: ReadAudit | None = None
    # Arguments with which the start-up check plans the field, if some viewers have to give any.
    sample_arguments: str = ""


class StatedFacts(TypedDict, total=False):
    """The facts as arguments of a function that declares a field."""

    scopes: Scopes | None
    argument_scopes: Mapping[str, ArgumentScopes]
    cost: Cost
    audit: ReadAudit | None
    sample_arguments: str


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


def scopes_of_field(type_: Any, name: str) -> Scopes:
    """Return the scopes that a field of a type needs; none for `__typename`.

    They are those of its type, those that it states itself, and those of the type it returns.
    """
    if name.startswith("__"):
        return NO_SCOPE
    own = scopes_of_type(type_) or NO_SCOPE
    definition = getattr(type_, "fields", {}).get(name)
    if definition is None:
        return own
    returned = scopes_of_type(item_type(definition)) or NO_SCOPE
    return own | returned | (facts_of(definition).scopes or NO_SCOPE)


def item_type(definition: GraphQLField) -> Any:
    """Return a field's type; for a list or connection, the type of its items."""
    named: Any = get_named_type(definition.type)
    items = getattr(named, "fields", {}).get("nodes")
    return get_named_type(items.type) if items else named
