"""Repetition of a transaction's first statement where the prepared one is of no use any more.

A table that was altered, or a session whose statements were deallocated, fails the next execution
of a prepared statement and with it the transaction. The first statement of a transaction has no
other before it, so the transaction is begun anew and the statement prepared again.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event

from models.database.prepared import STALE

HAS_BEGUN, IS_FIRST = "has_begun", "is_first_statement"


def repeat_first_statements(engine: Engine) -> None:
    """Have an engine repeat the first statement of a transaction once."""
    event.listen(engine, "begin", note_begin)
    event.listen(engine, "before_cursor_execute", note_statement)
    event.listen(engine, "do_execute", execute)


def note_begin(conn: Connection) -> None:
    conn.info[HAS_BEGUN] = True


def note_statement(conn: Connection, *_: Any) -> None:
    """Note whether the statement about to be executed is the first of its transaction."""
    conn.info[IS_FIRST] = conn.info.pop(HAS_BEGUN, False)


def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Execute a statement; once more where it is stale and the first of its transaction."""
    conn = context.root_connection
    try:
        cursor.execute(statement, parameters)
    except Exception as error:
        if not (is_stale(error) and conn.info[IS_FIRST]):
            raise
        # Ends the failed transaction; the driver begins another with the next statement.
        conn.connection.rollback()
        # By this error the dialect forgets what it prepared on all connections.
        forget = conn.dialect.dbapi.InvalidCachedStatementError("prepared statements are stale")
        context.handle_dbapi_exception(forget)
        context.pre_exec()
        cursor.execute(statement, parameters)
    return True


def is_stale(error: BaseException | None) -> bool:
    """Return whether an error of SQLAlchemy's driver is of a prepared statement."""
    return error is not None and isinstance(error.__cause__ or error, STALE)
