"""Checks that the values of each column have its type, and are within the bounds that code needs.

PostgreSQL enforces a column's type by itself. SQLite accepts any value in any column, so on SQLite
a check enforces the type too.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Text, TypeDecorator, Uuid
from sqlalchemy.types import TypeEngine

# Integers stay below 2^53: exact as a JSON number, and abs() can't overflow on SQLite.
AMOUNT_LIMIT = 2**53
# The dates of Python's calendar, and times that stay in it in any time zone.
DAYS = "BETWEEN '0001-01-01' AND '9999-12-31'"
FIRST_MOMENT, LAST_MOMENT = "0001-01-02", "9999-12-31 09:00"
MOMENT_GLOB = "????-??-?? ??:??:??." + "[0-9]" * 6
ID_GLOB = "-".join("?" * length for length in (8, 4, 4, 4, 12))
# Characters that only a quoted e-mail address may contain, where they could hide another address.
# Brackets, control characters and blanks are excluded too.
NOT_IN_ADDRESS = ',;<>()"'
CONTROLS = ((1, 32), (127, 160))

# The conditions for SQLite and for PostgreSQL.
Pair = tuple[str | None, str | None]


class Word(Text):
    """Text of at least one ASCII letter, digit, hyphen or underscore, like Stripe's ids.

    In a path of Stripe's API an empty id would ask for a list.
    """


def column_checks(columns: Iterable[Column[Any]]) -> Iterator[CheckConstraint]:
    """Yield the checks of a table's columns."""
    for column in columns:
        name = column.name
        for suffix, pair in (
            (f"{name}_{bound_name(column)}", bounds(column)),
            (f"{name}_typed", (type_condition(column), None)),
        ):
            yield from check(suffix, *pair)


def check(name: str, sqlite: str | None, postgresql: str | None) -> list[CheckConstraint]:
    """Return a check with a condition for each database; None stands for no condition."""
    if sqlite == postgresql:
        return [CheckConstraint(sqlite, name=name)] if sqlite is not None else []
    return [
        CheckConstraint(condition, name=name).ddl_if(dialect=dialect)
        for dialect, condition in (("sqlite", sqlite), ("postgresql", postgresql))
        if condition is not None
    ]


def python_type(type_: TypeEngine[Any]) -> type[Any]:
    """Return the Python type of a column's values."""
    inner = type_.impl_instance if isinstance(type_, TypeDecorator) else type_
    return inner.python_type


def bound_name(column: Column[Any]) -> str:
    return "exact" if isinstance(column.type, BigInteger) else "bounds"


def bounds(column: Column[Any]) -> Pair:
    """Return the bounds of a column's values, in addition to its type."""
    name, type_ = column.name, column.type
    if isinstance(type_, BigInteger):
        return on_both_databases(f"abs({name}) < {AMOUNT_LIMIT}")
    if isinstance(type_, Word):
        glob = f"{name} <> '' AND {name} NOT GLOB '*[^A-Za-z0-9_-]*'"
        return glob, f"{name} ~ '^[A-Za-z0-9_-]+$'"
    if isinstance(type_, JSON):
        of_type = f"CASE WHEN json_valid({name}) THEN json_type({name}) = 'array' ELSE 0 END"
        return of_type, f"json_typeof({name}) = 'array'"
    if python_type(type_) is dt.date:
        return on_both_databases(f"{name} {DAYS}")
    if python_type(type_) is dt.datetime:
        return on_both_databases(f"{name} >= '{FIRST_MOMENT}' AND {name} < '{LAST_MOMENT}'")
    return None, None


def on_both_databases(condition: str) -> Pair:
    return condition, condition


def type_condition(column: Column[Any]) -> str | None:
    """Return the condition that enforces a column's type on SQLite."""
    name, type_ = column.name, column.type
    if isinstance(type_, JSON):
        return None
    if isinstance(type_, Uuid):
        return f"{name} GLOB '{ID_GLOB}' AND {name} NOT GLOB '*[^0-9a-f-]*'"
    if python_type(type_) is dt.date:
        return f"{name} IS date({name})"
    if python_type(type_) is dt.datetime:
        second = f"substr({name}, 1, 19)"
        return f"{second} IS datetime({second}) AND {name} GLOB '{MOMENT_GLOB}'"
    if python_type(type_) is bool:
        return f"{name} IN (0, 1)"
    if python_type(type_) is bytes:
        return f"typeof({name}) IN ('blob', 'null')"
    if python_type(type_) is int:
        of_type = f"typeof({name}) IN ('integer', 'null')"
        small = f" AND {name} BETWEEN -2147483648 AND 2147483647"
        return of_type if isinstance(type_, BigInteger) else of_type + small
    return f"typeof({name}) IN ('text', 'null')"


# -- checks of single columns ----------------------------------------------------------------------


def address_check(column: str) -> list[CheckConstraint]:
    """Return the check that a column holds one e-mail address, at most with blanks around it."""
    address = f"trim({column})"
    shape = f"{address} LIKE '_%@_%' AND {address} NOT LIKE '%@%@%'"
    glob = f"'*[]' || {ranges('char')} || '[\\{NOT_IN_ADDRESS}]*'"
    pattern = f"'[][' || {ranges('chr')} || '\\\\{NOT_IN_ADDRESS}]'"
    return check(
        f"{column}_one_address",
        f"{shape} AND {address} NOT GLOB ({glob})",
        f"{shape} AND {address} !~ ({pattern})",
    )


def ranges(character: str) -> str:
    """Return the ranges of control characters and blanks, with SQL's function for a code point."""
    ends = (f"{character}({first}) || '-' || {character}({last})" for first, last in CONTROLS)
    return " || ".join(ends)


def only_these(column: str, values: Iterable[str]) -> list[CheckConstraint]:
    """Return the check that a JSON list contains only these values."""
    named = [f'"{value}"' for value in values]
    left = column
    for name in named:
        left = f"replace({left}, '{name}', '')"
    return check(
        f"{column}_known",
        f"trim({left}, '[], ') = '' AND {is_flat(column)}",
        f"{column}::jsonb <@ '[{', '.join(named)}]'::jsonb",
    )


def list_of_words(column: str) -> list[CheckConstraint]:
    """Return the check that a JSON list contains only texts of ASCII letters and digits."""
    quotes = f"length({column}) - length(replace({column}, '\"', ''))"
    words = flat_list_of(column, 'A-Za-z0-9"')
    is_quoted = f"{quotes} = 2 * json_array_length({column})"
    return check(
        f"{column}_words", f"{words} AND {is_quoted}", matches_items(column, '"[A-Za-z0-9]*"')
    )


def list_of_numbers(column: str) -> list[CheckConstraint]:
    """Return the check that a JSON list contains only unsigned integers."""
    return check(
        f"{column}_numbers", flat_list_of(column, "0-9"), matches_items(column, "[0-9]{1,9}")
    )


def flat_list_of(column: str, characters: str) -> str:
    """Return SQLite's condition that a list is flat, and has only items of these characters."""
    return f"{column} NOT GLOB '*[^][{characters}, ]*' AND {is_flat(column)}"


def is_flat(column: str) -> str:
    """Return SQLite's condition that a list contains no list."""
    return f"length({column}) - length(replace({column}, '[', '')) = 1"


def matches_items(column: str, item: str) -> str:
    """Return PostgreSQL's condition that each item of a list matches a pattern."""
    return f"{column}::text ~ '^\\[ *({item} *(, *{item} *)*)?\\]$'"


def one_of_check(column: str, values: Sequence[str]) -> CheckConstraint:
    """Return the check that a column has one of these values."""
    names = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({names})", name=f"{column}_known")
