"""Transient errors of the drivers, distinguished from defects."""

import sqlite3
from typing import Any

import asyncpg
import pytest

from models.database import DatabaseBusy, DatabaseUnavailable
from models.database.errors import is_gone, is_repeatable, one_line_reason, transient

POSTGRES = {
    DatabaseBusy: "55P03 57014 40P01 40001 25P03",
    DatabaseUnavailable: "08000 08003 08006 08001 57P01 57P02 57P03 57P05 53300 53100 58030 25006",
}
SQLITE: dict[type[Exception], tuple[int, ...]] = {
    DatabaseBusy: (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_BUSY_RECOVERY,
    ),
    DatabaseUnavailable: (
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_READONLY_DBMOVED,
    ),
}
DEFECTS = ("42P01", "42601", "22P02", "23505", "XX000", "54001", "26000", "0A000")


def of_state(state: str) -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": state, "M": "the server's words"})


def of_code(code: int) -> sqlite3.OperationalError:
    error: Any = sqlite3.OperationalError("the library's words")
    error.sqlite_errorcode = code
    return error  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("state", "kind"),
    [(state, kind) for kind, states in POSTGRES.items() for state in states.split()],
)
def test_transient_states_of_postgresql(state: str, kind: type[Exception]) -> None:
    assert type(transient(of_state(state))) is kind


@pytest.mark.parametrize(
    ("code", "kind"), [(code, kind) for kind, codes in SQLITE.items() for code in codes]
)
def test_transient_codes_of_sqlite(code: int, kind: type[Exception]) -> None:
    assert type(transient(of_code(code))) is kind


@pytest.mark.parametrize("state", DEFECTS)
def test_defects_are_not_transient(state: str) -> None:
    assert transient(of_state(state)) is None
    assert not is_repeatable(of_state(state))
    assert not is_gone(of_state(state))


def test_timeout_is_not_repeated_and_a_lost_connection_is() -> None:
    assert isinstance(transient(TimeoutError()), DatabaseUnavailable)
    amid_messages = asyncpg.InternalClientError("got result for unknown protocol state")
    assert isinstance(transient(amid_messages), DatabaseUnavailable)
    assert not is_repeatable(TimeoutError())
    silent = DatabaseUnavailable("no answer in time")
    silent.__cause__ = TimeoutError()
    assert not is_repeatable(silent)
    assert is_repeatable(ConnectionResetError())
    assert is_repeatable(of_state("57P01"))
    assert not is_repeatable(of_state("55P03"))


def test_server_with_too_many_connections_is_not_gone() -> None:
    assert is_gone(of_state("57P01"))
    assert is_gone(ConnectionRefusedError())
    assert not is_gone(of_state("53300"))


def test_value_that_does_not_fit_is_a_defect() -> None:
    assert transient(asyncpg.DataError("invalid input for query argument $1")) is None


def test_reason_is_one_line_without_values() -> None:
    words = "duplicate key\nDETAIL: Key (email)=(ana@example.com) already exists."
    assert one_line_reason(Exception(words)) == "duplicate key"
