"""Errors of the database that callers tell apart, and the drivers' errors that become one."""

import re
import sqlite3

import asyncpg

# Of SQLSTATE, the beginnings of the codes.
# lock_not_available, query_canceled, deadlock_detected and other rollbacks, and
# idle_in_transaction_session_timeout.
BUSY_STATES = ("55P03", "57014", "40", "25P03")
# No connection, no resources, shut down or starting, a failing disk; and a server that was demoted,
# which takes no changes.
UNAVAILABLE_STATES = ("08", "53", "57P", "58", "25006")
# undefined_table, undefined_column; and how SQLite says so.
UNDEFINED_STATES = ("42P01", "42703")
# insufficient_privilege.
FORBIDDEN = "42501"
UNDEFINED_WORDS = re.compile(r"no such (table|column)|table \S+ has no column")
# Of SQLite, the primary codes.
SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
SQLITE_UNAVAILABLE = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
)


class StatementTimeout(Exception):
    """The database took longer than a statement may."""


class StatementTooDeep(Exception):
    """A statement is nested more deeply than the database can read."""


class TransientError(Exception):
    """A failure that passes. The transaction is rolled back, and the same may be tried again."""


class DatabaseBusy(TransientError):
    """A lock, a connection or an answer of the database that was not had in time."""


class DatabaseUnavailable(TransientError):
    """A database that cannot be reached, restarts, lacks resources or takes no changes now."""


def transient(error: BaseException) -> TransientError | None:
    """Return the transient error that a driver's error stands for; None, where it is a defect."""
    if isinstance(error, TransientError):
        return error
    state = getattr(error, "sqlstate", None) or ""
    code = getattr(error, "sqlite_errorcode", None)
    code = code & 0xFF if code is not None else None
    if state.startswith(BUSY_STATES) or code in SQLITE_BUSY:
        return DatabaseBusy(f"the database gave up waiting ({one_line_reason(error)})")
    # Of the driver's own errors one is of a connection that ended amid its messages.
    is_silent = isinstance(error, OSError | asyncpg.InternalClientError)
    if is_silent or state.startswith(UNAVAILABLE_STATES) or code in SQLITE_UNAVAILABLE:
        return DatabaseUnavailable(one_line_reason(error))
    return None


def is_gone(error: BaseException | None) -> bool:
    """Return whether an error says that the server itself is gone, with all of its connections."""
    state = getattr(error, "sqlstate", None) or ""
    is_silent = isinstance(error, OSError | asyncpg.TargetServerAttributeNotMatched)
    return is_silent or state.startswith(("08", "57P"))


def is_repeatable(error: BaseException) -> bool:
    """Return whether a read that failed so may succeed on another connection, at once.

    One that had no answer in time has used its time up.
    """
    if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
        return False
    state = getattr(error, "sqlstate", None) or ""
    return isinstance(transient(error), DatabaseUnavailable) or state.startswith("40")


def is_unmigrated(error: BaseException | None) -> bool:
    """Return whether an error says that a table or a column is not there."""
    if getattr(error, "sqlstate", None) in UNDEFINED_STATES:
        return True
    return isinstance(error, sqlite3.Error) and UNDEFINED_WORDS.match(str(error)) is not None


def is_forbidden(error: BaseException | None) -> bool:
    """Return whether an error says that the role lacks a right."""
    return getattr(error, "sqlstate", None) == FORBIDDEN


def one_line_reason(error: BaseException) -> str:
    """Return an error's words in one line, without a statement's values."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    # PostgreSQL's own detail, and SQLAlchemy's statement, are on lines of their own.
    words = str(error).partition("\n")[0].strip()
    return words.removeprefix(f"{type(error)}: ") or type(error).__name__
