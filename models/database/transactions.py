"""The beginning of SQLAlchemy's transactions on PostgreSQL, and the repeat of a first statement.

Where a pooler lends sessions for one transaction only, each transaction sets its own settings.
Where an engine is confined, each names its practice.

A table that was altered, or a session whose statements were deallocated, fails the next execution
of a prepared statement and with it the transaction. The first statement of a transaction has no
other before it, so the transaction is begun anew and the statement prepared again.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event

from models.database.confinement import SETTING, Naming, practice, setting_locally
from models.database.connector import PostgresConnector
from models.database.prepared import STALE
from models.database.session import SessionSettings

HAS_BEGUN, IS_FIRST, OPENING = "has_begun", "is_first_statement", "opening"


class Transactions:
    """Begins the transactions of an engine, and repeats the first statement of one once."""

    def __init__(
        self, connector: PostgresConnector, session: SessionSettings, *, confined: bool
    ) -> None:
        self.connector, self.session, self.confined = connector, session, confined

    def listen(self, engine: Engine) -> None:
        event.listen(engine, "begin", self.begin)
        event.listen(engine, "before_cursor_execute", note_statement)
        event.listen(engine, "do_execute", self.execute)

    def begin(self, conn: Connection) -> None:
        opening = conn.info[OPENING] = self.opening()
        if opening is not None:
            # It may be stale like the statement that follows it.
            conn.info[HAS_BEGUN] = True
            conn.exec_driver_sql(*opening)
        conn.info[HAS_BEGUN] = True

    def opening(self) -> Naming | None:
        """Return the statement that a transaction begins with, if it needs one."""
        settings = dict(self.session.settings) if self.connector.pools_transactions else {}
        if self.confined:
            settings[SETTING] = practice()
        return setting_locally(settings) if settings else None

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Execute a statement; once more where it is stale and the first of its transaction."""
        conn = context.root_connection
        try:
            cursor.execute(statement, parameters)
        except Exception as error:
            if not (is_stale(error) and conn.info[IS_FIRST]):
                raise
            self.begin_again(cursor, context)
            cursor.execute(statement, parameters)
        return True

    def begin_again(self, cursor: Any, context: Any) -> None:
        """End a failed transaction and begin it again; the driver itself begins it lazily."""
        conn = context.root_connection
        conn.connection.rollback()
        # By this error the dialect forgets what it prepared on all connections.
        forget = conn.dialect.dbapi.InvalidCachedStatementError("prepared statements are stale")
        context.handle_dbapi_exception(forget)
        context.pre_exec()
        if not self.connector.pools_transactions:
            # With its statements (DISCARD ALL) the session may have lost its settings.
            conn.connection.dbapi_connection.run_async(self.session.set_up)
        if (opening := conn.info[OPENING]) is not None:
            cursor.execute(*opening)


def note_statement(conn: Connection, *_: Any) -> None:
    """Note whether the statement about to be executed is the first of its transaction."""
    conn.info[IS_FIRST] = conn.info.pop(HAS_BEGUN, False)


def is_stale(error: BaseException | None) -> bool:
    """Return whether an error of SQLAlchemy's driver is of a prepared statement."""
    return error is not None and isinstance(error.__cause__ or error, STALE)
