"""Conditions for filter arguments. Each works with plain values and with `Deferred`."""

import datetime as dt
import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Date, Text, TypeDecorator, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from planner.deferred import Deferred, FieldError, bind, map_deferred


@dataclass
class DateRange:
    """A range of days, both ends inclusive and optional."""

    gte: dt.date | None = None
    lte: dt.date | None = None


def within_dates(column: ColumnElement[dt.date], range_: DateRange | None) -> ColumnElement[bool]:
    """Select days in the range; all days without a range."""
    return overlapping(column, column, range_)


def overlapping(
    start: ColumnElement[dt.date], end: ColumnElement[dt.date], range_: DateRange | None
) -> ColumnElement[bool]:
    """Select periods with at least one day in the range."""
    if range_ is None:
        return true()
    first, last = ordered(range_.gte, range_.lte)
    condition: ColumnElement[bool] = true()
    if first is not None:
        condition &= end >= bind(first, Date())
    if last is not None:
        condition &= start <= bind(last, Date())
    return condition


def ordered(first: Any, last: Any) -> tuple[Any, Any]:
    """Return the ends of a range, refused if they are reversed."""
    if first is None or last is None:
        return first, last
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

    def load_dialect_impl(self, dialect: Any) -> Any:
        return dialect.type_descriptor(ARRAY(Text) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[str] | None, dialect: Any) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)


class one_of(FunctionElement[bool]):
    """A condition that the column equals an item of a list. Its SQL is the same for any length."""

    inherit_cache = False


@compiles(one_of, "postgresql")
def one_of_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    return f"({compiler.process(column, **kw)}) = ANY ({compiler.process(values, **kw)})"


@compiles(one_of, "sqlite")
def one_of_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    listed = compiler.process(values, **kw)
    return f"({compiler.process(column, **kw)}) IN (SELECT value FROM json_each({listed}))"


def names(members: list[enum.Enum]) -> list[str]:
    return [member.value for member in members]


def among(
    column: ColumnElement[str],
    members: list[Any] | None,
    written: Callable[[list[Any]], list[str]] = names,
) -> ColumnElement[bool]:
    """Return the condition that the column is one of the enum members; true without a list."""
    if members is None:
        return true()
    listed = members[0] if len(members) == 1 and isinstance(members[0], Deferred) else members
    return one_of(column, bind(map_deferred(written, listed), Texts()))
