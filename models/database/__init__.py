"""How the rows are reached: an engine for what writes, and connections for planned reads.

Planned reads are one statement each whose only value is text, so they go to the driver itself:
SQLAlchemy compiles them and does not run them.
"""

from sqlalchemy import make_url

from models.database.connecting import Connector, PostgresConnector, watched
from models.database.engine import connector_of, engine, opened
from models.database.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    StatementTimeout,
    StatementTooDeep,
    TransientError,
)
from models.database.postgres import PostgresReads
from models.database.sqlite import SqliteReads
from models.database.waits import PATIENT, PREPARED_A_CONNECTION, Statement, Waits

__all__ = [
    "PATIENT",
    "PREPARED_A_CONNECTION",
    "Connector",
    "DatabaseBusy",
    "DatabaseUnavailable",
    "PostgresReads",
    "SqliteReads",
    "Statement",
    "StatementTimeout",
    "StatementTooDeep",
    "TransientError",
    "Waits",
    "connector_of",
    "engine",
    "opened",
    "reads",
    "watched",
]


def reads(
    url: str, *, size: int = 10, timeout_s: float = 10, connector: Connector | None = None
) -> "SqliteReads | PostgresReads":
    """Return connections for planned reads, opened when they are first needed."""
    connector = connector or connector_of(url)
    if isinstance(connector, PostgresConnector):
        return PostgresReads(connector, size, timeout_s)
    return SqliteReads(make_url(url).database or "", timeout_s)
