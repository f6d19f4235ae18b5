"""Values that are unknown while planning and known in each request: variables, viewer and time.

A plan is made by running the same source functions with `Deferred` in place of each value. So a
source is written once, for values, and only needs `map_deferred` and `bind`.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    get_nullable_type,
    is_leaf_type,
)
from sqlalchemy import BindParameter, bindparam
from sqlalchemy.types import TypeEngine

from billing.documents.links import Links, Signer
from billing.payments.status import SANDBOX, Online
from identity.viewer import Viewer
from models.database import Caller


@dataclass(frozen=True)
class RequestContext:
    """The parts of a request that a statement's values depend on. `now` is in UTC."""

    viewer: Viewer
    now: dt.datetime
    variables: Mapping[str, Any]
    online: Online = SANDBOX
    signer: Signer | None = None
    # The result of each field of a mutation, by response key.
    outcomes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def caller(self) -> Caller:
        """Return the caller to charge. Results of mutations are read regardless of the budget."""
        caller = self.viewer.caller
        return replace(caller, reads_outcome=True) if self.outcomes else caller

    @cached_property
    def today(self) -> dt.date:
        """Return the current day in the practice's time zone."""
        return self.viewer.day(self.now)

    @cached_property
    def links(self) -> Links:
        """Return the document links of this viewer, which expire after some minutes."""
        assert self.signer is not None
        return self.signer.links(self.viewer.token_id, self.now)


Reader = Callable[[RequestContext], Any]


@dataclass(frozen=True, eq=False)
class Deferred:
    """A value that each request provides.

    `hint` is the part of the value that the plan's key includes. `of_variables` says that the value
    depends on the request's variables only.
    """

    read: Reader
    hint: str = ""
    of_variables: bool = False


class FieldError(Exception):
    """A value or viewer that a field refuses. The reference executor reports it with this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unplannable(Exception):
    """An operation that the planner does not support. The reference executor answers it."""


def evaluate(value: Any, context: RequestContext) -> Any:
    return value.read(context) if isinstance(value, Deferred) else value


def map_deferred(compute: Callable[..., Any], *inputs: Any) -> Any:
    """Return compute(*inputs): at once for plain values, or per request if an input is
    `Deferred`.
    """
    if not any(isinstance(value, Deferred) for value in inputs):
        return compute(*inputs)
    return Deferred(
        lambda context: compute(*(evaluate(value, context) for value in inputs)),
        of_variables=all(is_settled(value) for value in inputs),
    )


def is_settled(value: Any) -> bool:
    """Return whether the value depends on variables only."""
    return not isinstance(value, Deferred) or value.of_variables


def bind(value: Any, type_: TypeEngine[Any]) -> BindParameter[Any]:
    """Return the value as a parameter of the statement. A `Deferred` is read in each request."""
    return bindparam(None, value, type_, unique=True)


# -- shapes and placeholders of variables ----------------------------------------------------------


def variable_shape(type_: GraphQLInputType, value: Any) -> Any:
    """Return the part of a coerced variable that the plan's key includes.

    Booleans and enums change the SQL by their value, an id by its prefix, and an input object by
    its fields. For other scalars and for lists, only their presence matters.
    """
    bare = get_nullable_type(type_)
    if value is None:
        return None
    if isinstance(bare, GraphQLInputObjectType):
        return tuple((k, variable_shape(bare.fields[k].type, v)) for k, v in value.items())
    if isinstance(bare, GraphQLList):
        return "list"
    if isinstance(bare, GraphQLScalarType) and bare.name != "Boolean":
        return id_prefix(value) if bare.name == "ID" else "value"
    return value


def placeholder(type_: GraphQLInputType, value: Any, reader: Reader) -> Any:
    """Return the placeholder of a variable of this shape. `reader` finds the value in a request."""
    bare = get_nullable_type(type_)
    if value is None:
        return None
    if isinstance(bare, GraphQLInputObjectType):
        fields = bare.fields
        return {k: placeholder(fields[k].type, v, item(reader, k)) for k, v in value.items()}
    if isinstance(bare, GraphQLList):
        if not isinstance(bare.of_type, GraphQLNonNull) or not is_leaf_type(bare.of_type.of_type):
            raise Unplannable("a list variable of nullable or structured items")
        return [Deferred(reader, hint="list", of_variables=True)]
    if isinstance(bare, GraphQLScalarType) and bare.name != "Boolean":
        return Deferred(reader, id_prefix(value) if bare.name == "ID" else "", of_variables=True)
    return value


def variable(name: str) -> Reader:
    return lambda context: context.variables[name]


def item(reader: Reader, key: str) -> Reader:
    return lambda context: reader(context)[key]


# Prefixes of ids. All other prefixes count as one, which limits the number of plans.
PREFIXES = frozenset("pra cln cli ses inv stm sbl pmt rct crd aht sgn idn".split())


def id_prefix(id_: Any) -> str:
    """Return the kind of an API id, or "?" if it is not one of this API."""
    kind = id_.hint if isinstance(id_, Deferred) else str(id_).partition("_")[0]
    return kind if kind in PREFIXES else "?"
