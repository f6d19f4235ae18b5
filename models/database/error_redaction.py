"""Errors of the database without the values that they quote.

PostgreSQL and the drivers quote refused rows whole ("Failing row contains (…)") and values that
they cannot parse. These contain names and addresses, and errors go to logs and terminals. So the
texts of an error and of all its causes are shortened where the error arises.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import EmulatedDBAPIException, StatementError

# Of SQLSTATE, the class of data that cannot be read or does not fit: its texts quote a value.
DATA = "22"
# Where a quotation begins, and where an explanation does.
QUOTATION = re.compile("['\"\u201c\u00ab]")
EXPLANATION = re.compile("[:'\"\u201c\u00ab]")
OF_POSTGRES = (asyncpg.PostgresError, asyncpg.InterfaceError, EmulatedDBAPIException)
# What Python itself raises for a value, and drivers tell as the cause of their own error.
OF_PYTHON = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def concealed() -> Iterator[None]:
    """Conceal the values in whatever error the block ends with."""
    try:
        yield
    except Exception as error:
        conceal(error)
        raise


def conceal(error: BaseException | None, *, of_statement: bool = False) -> None:
    """Take values out of an error of the database, and out of all errors that led to it.

    `of_statement`: whatever the error is, a statement or its rows have raised it.
    """
    seen = set[tuple[int, bool]]()
    waiting = [(error, of_statement)]
    while waiting:
        one, is_cause = waiting.pop()
        if one is None or (id(one), is_cause) in seen:
            continue
        seen.add((id(one), is_cause))
        is_of_database = isinstance(one, (StatementError, sqlite3.Error, *OF_POSTGRES))
        if is_of_database or (is_cause and isinstance(one, OF_PYTHON)):
            shorten(one)
            waiting.append((getattr(one, "orig", None), True))
        waiting += [(one.__cause__, is_of_database), (one.__context__, False)]


def shorten(error: BaseException) -> None:
    """Take the values out of an error, which are in its text and in some of its fields."""
    error.args = (without_values(error),)
    # Of asyncpg's: `context` quotes rows of a COPY.
    for name in ("detail", "context"):
        if isinstance(getattr(error, name, None), str):
            setattr(error, name, None)


def without_values(error: BaseException) -> str:
    """Return an error's text without the values that it quotes."""
    if isinstance(error, StatementError):
        kind = type(error.orig)
        words = without_values(error.orig) if error.orig else ""
        return f"({kind.__module__}.{kind.__qualname__}) {words}"
    words = str(error.args[0]) if error.args else ""
    if isinstance(error, sqlite3.Error):
        return QUOTATION.split(words)[0].strip()
    if isinstance(error, OF_PYTHON) and not isinstance(error, OF_POSTGRES):
        return type(error).__name__
    is_of_data = str(getattr(error, "sqlstate", None)).startswith(DATA)
    if is_of_data or isinstance(error, OF_PYTHON):
        return EXPLANATION.split(words)[0].strip()
    return words
