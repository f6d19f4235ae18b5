"""Values that a plan doesn't know yet and every request brings: variables, the viewer, the clock.

A plan is made by running the same source functions with `Later` in the place of each value. So a
source is written once, for values; `derive` and `bound` are all it needs to know of this.
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
from billing.payments import SANDBOX, Online
from models.database import Caller
from resolvers.viewer import Viewer


@dataclass(frozen=True)
class Asked:
    """One request, as far as a statement's values depend on it; `now` is in UTC."""

    viewer: Viewer
    now: dt.datetime
    variables: Mapping[str, Any]
    payments: Online = SANDBOX
    signer: Signer | None = None
    # Of a mutation: what each of its fields came to.
    outcomes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def caller(self) -> Caller:
        """Whose statement it is; what a change came to is read whatever the budget."""
        caller = self.viewer.caller
        return replace(caller, reads_outcome=True) if self.outcomes else caller

    @cached_property
    def today(self) -> dt.date:
        """The practice's day."""
        return self.viewer.day(self.now)

    @cached_property
    def links(self) -> Links:
        """Where documents open for this viewer, for some minutes."""
        assert self.signer is not None
        return self.signer.links(self.viewer.token_id, self.now)


Reader = Callable[[Asked], Any]


@dataclass(frozen=True, eq=False)
class Later:
    """A value that a request brings; `hint` is what the plan's key already tells about it,
    `of_variables` whether its variables alone decide it."""

    read: Reader
    hint: str = ""
    of_variables: bool = False


class Refusal(Exception):
    """A value or a viewer that a field turns away: the reference reports it, with this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unplannable(Exception):
    """Not in the planner's language: the reference executor answers."""


def read(value: Any, asked: Asked) -> Any:
    return value.read(asked) if isinstance(value, Later) else value


def derive(compute: Callable[..., Any], *inputs: Any) -> Any:
    """compute(*inputs): now if they're values, with each request if one of them is `Later`."""
    if not any(isinstance(value, Later) for value in inputs):
        return compute(*inputs)
    return Later(
        lambda asked: compute(*(read(value, asked) for value in inputs)),
        of_variables=all(is_settled(value) for value in inputs),
    )


def is_settled(value: Any) -> bool:
    """Whether nothing but variables decides it."""
    return not isinstance(value, Later) or value.of_variables


def bound(value: Any, type_: TypeEngine[Any]) -> BindParameter[Any]:
    """The value as a parameter of the statement; the plan reads a `Later` for each request."""
    return bindparam(None, value, type_, unique=True)


# -- variables: what of them shapes the statement, and what stands for them in a plan --------------


def shape(type_: GraphQLInputType, value: Any) -> Any:
    """What the plan's key has of a coerced variable: whether it's there, and what changes the SQL.

    Booleans and enums change it by their value, an id by its prefix, an input object by its fields.
    Any other scalar, and a list of any length, only by being there.
    """
    bare = get_nullable_type(type_)
    if value is None:
        return None
    if isinstance(bare, GraphQLInputObjectType):
        return tuple((k, shape(bare.fields[k].type, v)) for k, v in value.items())
    if isinstance(bare, GraphQLList):
        return "list"
    if isinstance(bare, GraphQLScalarType) and bare.name != "Boolean":
        return prefix(value) if bare.name == "ID" else "value"
    return value


def stand_in(type_: GraphQLInputType, value: Any, reader: Reader) -> Any:
    """What stands for a variable of this shape while planning; `reader` finds its value later."""
    bare = get_nullable_type(type_)
    if value is None:
        return None
    if isinstance(bare, GraphQLInputObjectType):
        fields = bare.fields
        return {k: stand_in(fields[k].type, v, item(reader, k)) for k, v in value.items()}
    if isinstance(bare, GraphQLList):
        if not isinstance(bare.of_type, GraphQLNonNull) or not is_leaf_type(bare.of_type.of_type):
            raise Unplannable("a list variable of nullable or structured items")
        return [Later(reader, hint="list", of_variables=True)]
    if isinstance(bare, GraphQLScalarType) and bare.name != "Boolean":
        return Later(reader, prefix(value) if bare.name == "ID" else "", of_variables=True)
    return value


def variable(name: str) -> Reader:
    return lambda asked: asked.variables[name]


def item(reader: Reader, key: str) -> Reader:
    return lambda asked: reader(asked)[key]


# The kinds of things that ids are of. Any other prefix counts as one, so that plans stay few.
PREFIXES = frozenset("pra cln cli ses inv stm sbl pmt rct crd aht sgn idn".split())


def prefix(id_: Any) -> str:
    """The kind of thing an API id is of; "?" when it's none of ours."""
    kind = id_.hint if isinstance(id_, Later) else str(id_).partition("_")[0]
    return kind if kind in PREFIXES else "?"
