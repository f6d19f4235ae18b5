"""Declarations of fields: each with its source, its description, and its facts.

Scopes are closed by default. They are stated by a field, by its type or by the type that it
returns; a field without any stops the server at its start (`execution/startup_check.py`).
"""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Any, NoReturn, TypeVar, Unpack, get_args

import strawberry
from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from models.row import Instant
from planner.sources import KEY, Source, Value
from planner.sql_text import rfc3339
from resolvers.field_facts import FACTS, FieldFacts, StatedFacts

T = TypeVar("T")


def field(
    source: Source,
    *,
    description: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    **facts: Unpack[StatedFacts],
) -> Any:
    """Return a Strawberry field that the planner reads from the source, with the field's facts.

    `arguments` are the types of the field's arguments. An argument may be omitted if it has a
    default, or if its type has null. `resolvers/field_facts.py` describes the facts.
    """
    resolver: Any = declare(arguments, defaults or {}) if arguments else None
    metadata = {KEY: source, FACTS: FieldFacts(**facts)}
    return strawberry.field(resolver=resolver, metadata=metadata, description=description)


def declare(arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function with these arguments for Strawberry, which reads its signature alone."""

    def resolver(self: object, **_: object) -> NoReturn:
        raise NotImplementedError

    parameters = [Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)]
    for name, type_ in arguments.items():
        default = defaults.get(name, None if has_null(type_) else Parameter.empty)
        parameters.append(
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=type_, default=default)
        )
    resolver.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return resolver


def has_null(type_: Any) -> bool:
    """Return whether an annotated type has null."""
    return type(None) in get_args(get_args(type_)[0])


def column(
    attribute: InstrumentedAttribute[T], description: str, **facts: Unpack[StatedFacts]
) -> T:
    """Return a Strawberry field that reads a column of the row.

    The column is given as the attribute of the row's class. For mypy the field has the column's
    type, so that the annotation of a field has to agree with it.
    """
    name, is_time = attribute.key, isinstance(attribute.type, Instant)

    def read(row: Any) -> ColumnElement[Any]:
        value: ColumnElement[Any] = row.c[name]
        return rfc3339(value) if is_time else value

    found: T = field(Value(read, name), description=description, **facts)
    return found
