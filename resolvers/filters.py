"""Conditions for filter arguments. Each works with plain values and with `Deferred`."""

import datetime as dt
import enum
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Date,
    Dialect,
    SQLColumnExpression,
    Text,
    TypeDecorator,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from planner.deferred import Deferred, FieldError, MaybeDeferred, bind, gather, map_deferred

T = TypeVar("T")
E = TypeVar("E")
F = TypeVar("F", bound=enum.Enum)


@dataclass
class DateRange:
    """A range of days, both ends inclusive and optional."""

    gte: MaybeDeferred[dt.date] | None = None
    lte: MaybeDeferred[dt.date] | None = None


def within_dates(
    column: SQLColumnExpression[dt.date], range_: DateRange | None
) -> ColumnElement[bool]:
    """Select days in the range; all days without a range."""
    return overlapping(column, column, range_)


def overlapping(
    start: SQLColumnExpression[dt.date],
    end: SQLColumnExpression[dt.date],
    range_: DateRange | None,
) -> ColumnElement[bool]:
    """Select periods with at least one day in the range."""
    if range_ is None:
        return true()
    first, last = range_.gte, range_.lte
    if first is not None and last is not None:
        first, last = ordered(first, last)
    condition: ColumnElement[bool] = true()
    if first is not None:
        condition &= end >= bind(first, Date())
    if last is not None:
        condition &= start <= bind(last, Date())
    return condition


def ordered(
    first: MaybeDeferred[dt.date], last: MaybeDeferred[dt.date]
) -> tuple[MaybeDeferred[dt.date], MaybeDeferred[dt.date]]:
    """Return the ends of a range, refused if they are reversed."""
    ends = map_deferred(check_order, first, last)
    return map_deferred(lambda pair: pair[0], ends), map_deferred(lambda pair: pair[1], ends)


def check_order(first: dt.date, last: dt.date) -> tuple[dt.date, dt.date]:
    if last < first:
        raise FieldError("BAD_RANGE", "gte is after lte")
    return first, last


class Texts(TypeDecorator[list[str]]):
    """A list as a single parameter: an array on PostgreSQL, JSON text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(Text) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)


class one_of(FunctionElement[bool]):
    """A condition that the column equals an item of a list. Its SQL is the same for any length."""

    inherit_cache = False


@compiles(one_of, "postgresql")
def one_of_postgresql(element: one_of, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    return f"({compiler.process(column, **kw)}) = ANY ({compiler.process(values, **kw)})"


@compiles(one_of, "sqlite")
def one_of_sqlite(element: one_of, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    listed = compiler.process(values, **kw)
    return f"({compiler.process(column, **kw)}) IN (SELECT value FROM json_each({listed}))"


def names(members: Sequence[enum.Enum]) -> Sequence[str]:
    return [member.value for member in members]


def among(
    column: SQLColumnExpression[E],
    members: Sequence[F] | None,
    written: Callable[[Sequence[F]], Sequence[str]] = names,
) -> ColumnElement[bool]:
    """Return the condition that the column is one of the enum members; true without a list."""
    if members is None:
        return true()
    return one_of(column, bind(map_deferred(written, as_one(members)), Texts()))


def as_one(items: Sequence[MaybeDeferred[T]]) -> MaybeDeferred[Sequence[T]]:
    """Return the items of a list argument as one value. A variable is the only item of its list."""
    if len(items) == 1 and isinstance(items[0], Deferred) and items[0].hint == "list":
        return cast("Deferred[Sequence[T]]", items[0])
    return gather(items)
