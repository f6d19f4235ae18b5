"""Values that are unknown while planning and known in each request: variables, viewer and time.

A plan is made by running the same source functions with `Deferred` in place of each value. So a
source is written once, for values, and only needs `map_deferred` and `bind`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, overload

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    get_nullable_type,
    is_leaf_type,
)
from graphql.execution.values import VariableValues
from sqlalchemy import BindParameter, bindparam
from sqlalchemy.types import TypeEngine

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")


class HasVariables(Protocol):
    """A request with variables. The planner itself reads nothing else from a request."""

    @property
    def variables(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Variables:
    """The variables of a request, for values that depend on nothing else."""

    variables: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Deferred(Generic[T_co]):
    """A value that each request provides.

    `hint` is the part of the value that the plan's key includes. `of_variables` says that the value
    depends on the request's variables only.
    """

    read: Callable[[Any], T_co]
    hint: str = ""
    of_variables: bool = False


# An argument of a source: a value, or a placeholder of it while planning.
MaybeDeferred: TypeAlias = Deferred[T] | T


class FieldError(Exception):
    """A value or viewer that a field refuses. The reference executor reports it with this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unplannable(Exception):
    """An operation that the planner does not support. The reference executor answers it."""


def evaluate(value: Any, request: object) -> Any:
    return value.read(request) if isinstance(value, Deferred) else value


@overload
def map_deferred(compute: Callable[[A], T], value: MaybeDeferred[A], /) -> MaybeDeferred[T]: ...
@overload
def map_deferred(
    compute: Callable[[A, B], T], first: MaybeDeferred[A], second: MaybeDeferred[B], /
) -> MaybeDeferred[T]: ...
def map_deferred(compute: Callable[..., T], *inputs: Any) -> MaybeDeferred[T]:
    """Return compute(*inputs): at once for plain values, or per request if an input is
    `Deferred`.
    """
    if not any(isinstance(value, Deferred) for value in inputs):
        return compute(*inputs)
    return Deferred(
        lambda request: compute(*[evaluate(value, request) for value in inputs]),
        of_variables=all(is_settled(value) for value in inputs),
    )


def gather(values: Sequence[MaybeDeferred[A]]) -> MaybeDeferred[Sequence[A]]:
    """Return a list of values and placeholders as one value."""

    def read(request: object) -> list[A]:
        return [evaluate(value, request) for value in values]

    if not any(isinstance(value, Deferred) for value in values):
        return read(None)
    return Deferred(read, of_variables=all(is_settled(value) for value in values))


def is_settled(value: Any) -> bool:
    """Return whether the value depends on variables only."""
    return not isinstance(value, Deferred) or value.of_variables


def bind(value: object, type_: TypeEngine[T]) -> BindParameter[T]:
    """Return the value as a parameter of the statement. A `Deferred` is read in each request."""
    return bindparam(None, value, type_, unique=True)


# -- shapes and placeholders of variables ----------------------------------------------------------

# Returns the part of an id that the SQL depends on, such as its prefix.
IdHint = Callable[[Any], str]


def variable_shape(type_: GraphQLInputType, value: Any, id_hint: IdHint) -> Any:
    """Return the part of a coerced variable that the plan's key includes.

    Booleans and enums change the SQL by their value, an id by its hint, and an input object by its
    fields. For other scalars and for lists, only their presence matters.
    """
    bare = get_nullable_type(type_)
    if value is None:
        return None
    if isinstance(bare, GraphQLInputObjectType):
        fields = bare.fields
        return tuple((k, variable_shape(fields[k].type, v, id_hint)) for k, v in value.items())
    if isinstance(bare, GraphQLList):
        return "list"
    if isinstance(bare, GraphQLScalarType) and bare.name != "Boolean":
        return id_hint(value) if bare.name == "ID" else "value"
    return value


@dataclass(frozen=True)
class VariablePath:
    """A reader of a variable, or of a value inside it: the variable's name, followed by keys."""

    keys: tuple[str, ...]

    def __call__(self, request: HasVariables) -> Any:
        value: Any = request.variables
        for key in self.keys:
            value = value[key]
        return value

    def __str__(self) -> str:
        return "$" + ".".join(self.keys)


def placeholder(type_: GraphQLInputType, value: Any, path: VariablePath, id_hint: IdHint) -> Any:
    """Return the placeholder of a variable of this shape. `path` finds the value in a request."""
    bare = get_nullable_type(type_)
    if value is None:
        return None
    if isinstance(bare, GraphQLInputObjectType):
        return {
            key: placeholder(bare.fields[key].type, v, VariablePath((*path.keys, key)), id_hint)
            for key, v in value.items()
        }
    if isinstance(bare, GraphQLList):
        if not isinstance(bare.of_type, GraphQLNonNull) or not is_leaf_type(bare.of_type.of_type):
            raise Unplannable("a list variable of nullable or structured items")
        return [Deferred(path, hint="list", of_variables=True)]
    if isinstance(bare, GraphQLScalarType) and bare.name != "Boolean":
        return Deferred(path, id_hint(value) if bare.name == "ID" else "", of_variables=True)
    return value


def placeholders(
    types: Mapping[str, GraphQLInputType], values: VariableValues, id_hint: IdHint
) -> VariableValues:
    """Return coerced variables with a placeholder for each value that differs by request."""
    symbols = {
        name: placeholder(types[name], value, VariablePath((name,)), id_hint)
        for name, value in values.coerced.items()
    }
    return VariableValues(values.sources, symbols)
