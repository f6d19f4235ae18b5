"""Checks that the values of each column are of its type, and within the bounds that code holds for.

PostgreSQL holds a column to its type by itself. SQLite takes any value in any column, so that there
a check says the type too.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Text, TypeDecorator, Uuid
from sqlalchemy.types import TypeEngine

# Whole numbers stay below 2^53: exact as a JSON number, and abs() can't overflow on SQLite.
AMOUNT_LIMIT = 2**53
# The days of Python's calendar, and moments that no time zone's offset leads out of it from.
DAYS = "BETWEEN '0001-01-01' AND '9999-12-31'"
FIRST_MOMENT, LAST_MOMENT = "0001-01-02", "9999-12-31 09:00"
MOMENT_GLOB = "????-??-?? ??:??:??." + "[0-9]" * 6
ID_GLOB = "-".join("?" * length for length in (8, 4, 4, 4, 12))
# What is in no e-mail address, unless it is quoted: there one could hide another. Beside these:
# brackets, control characters and blanks.
NOT_IN_ADDRESS = ',;<>()"'
CONTROLS = ((1, 32), (127, 160))

# SQLite's condition and PostgreSQL's.
Pair = tuple[str | None, str | None]


class Word(Text):
    """Text of ASCII letters, digits, hyphens and underscores, as Stripe names things."""


def column_checks(columns: Iterable[Column[Any]]) -> Iterator[CheckConstraint]:
    """Give the checks of a table's columns."""
    for column in columns:
        name = column.name
        for suffix, pair in (
            (f"{name}_{bound_name(column)}", bounds(column)),
            (f"{name}_typed", (typed(column), None)),
        ):
            yield from check(suffix, *pair)


def check(name: str, sqlite: str | None, postgresql: str | None) -> list[CheckConstraint]:
    """Return a check of one name, as each of the databases says it; None: it says nothing."""
    if sqlite == postgresql:
        return [CheckConstraint(sqlite, name=name)] if sqlite is not None else []
    return [
        CheckConstraint(condition, name=name).ddl_if(dialect=dialect)
        for dialect, condition in (("sqlite", sqlite), ("postgresql", postgresql))
        if condition is not None
    ]


def kind(type_: TypeEngine[Any]) -> type[Any]:
    """Return Python's type of a column's values."""
    inner = type_.impl_instance if isinstance(type_, TypeDecorator) else type_
    return inner.python_type


def bound_name(column: Column[Any]) -> str:
    return "exact" if isinstance(column.type, BigInteger) else "bounds"


def bounds(column: Column[Any]) -> Pair:
    """Return the bounds of a column's values, which its type alone doesn't have."""
    name, type_ = column.name, column.type
    if isinstance(type_, BigInteger):
        return both(f"abs({name}) < {AMOUNT_LIMIT}")
    if isinstance(type_, Word):
        return f"{name} NOT GLOB '*[^A-Za-z0-9_-]*'", f"{name} ~ '^[A-Za-z0-9_-]*$'"
    if isinstance(type_, JSON):
        of_type = f"CASE WHEN json_valid({name}) THEN json_type({name}) = 'array' ELSE 0 END"
        return of_type, f"json_typeof({name}) = 'array'"
    if kind(type_) is dt.date:
        return both(f"{name} {DAYS}")
    if kind(type_) is dt.datetime:
        return both(f"{name} >= '{FIRST_MOMENT}' AND {name} < '{LAST_MOMENT}'")
    return None, None


def both(condition: str) -> Pair:
    return condition, condition


def typed(column: Column[Any]) -> str | None:
    """Return the condition that says a column's type on SQLite."""
    name, type_ = column.name, column.type
    if isinstance(type_, JSON):
        return None
    if isinstance(type_, Uuid):
        return f"{name} GLOB '{ID_GLOB}' AND {name} NOT GLOB '*[^0-9a-f-]*'"
    if kind(type_) is dt.date:
        return f"{name} IS date({name})"
    if kind(type_) is dt.datetime:
        second = f"substr({name}, 1, 19)"
        return f"{second} IS datetime({second}) AND {name} GLOB '{MOMENT_GLOB}'"
    if kind(type_) is bool:
        return f"{name} IN (0, 1)"
    if kind(type_) is bytes:
        return f"typeof({name}) IN ('blob', 'null')"
    if kind(type_) is int:
        of_type = f"typeof({name}) IN ('integer', 'null')"
        small = f" AND {name} BETWEEN -2147483648 AND 2147483647"
        return of_type if isinstance(type_, BigInteger) else of_type + small
    return f"typeof({name}) IN ('text', 'null')"


# -- what a table says of some of its columns ------------------------------------------------------


def one_address(column: str) -> list[CheckConstraint]:
    """Return the check that a column has one e-mail address, with blanks around it at most."""
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
    """Return the ranges of control characters and blanks, by SQL's function for a code point."""
    ends = (f"{character}({first}) || '-' || {character}({last})" for first, last in CONTROLS)
    return " || ".join(ends)


def some_of(column: str, values: Iterable[str]) -> list[CheckConstraint]:
    """Return the check that a list in JSON has only some of these values."""
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
    """Return the check that a list in JSON has only texts of ASCII letters and digits."""
    quotes = f"length({column}) - length(replace({column}, '\"', ''))"
    words = flat(column, 'A-Za-z0-9"')
    is_quoted = f"{quotes} = 2 * json_array_length({column})"
    return check(f"{column}_words", f"{words} AND {is_quoted}", matches(column, '"[A-Za-z0-9]*"'))


def list_of_numbers(column: str) -> list[CheckConstraint]:
    """Return the check that a list in JSON has only whole numbers of no sign."""
    return check(f"{column}_numbers", flat(column, "0-9"), matches(column, "[0-9]{1,9}"))


def flat(column: str, characters: str) -> str:
    """Return SQLite's condition that a list has no list in it, and only items of these letters."""
    return f"{column} NOT GLOB '*[^][{characters}, ]*' AND {is_flat(column)}"


def is_flat(column: str) -> str:
    """Return SQLite's condition that a list has no list in it."""
    return f"length({column}) - length(replace({column}, '[', '')) = 1"


def matches(column: str, item: str) -> str:
    """Return PostgreSQL's condition that each item of a list is as this pattern."""
    return f"{column}::text ~ '^\\[ *({item} *(, *{item} *)*)?\\]$'"


def one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    """Return the check that a column has one of these values."""
    names = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({names})", name=f"{column}_known")
