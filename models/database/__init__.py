"""How the rows are reached: an engine for what writes, and connections for planned reads.

Planned reads are one statement each whose only value is text, so they go to the driver itself:
SQLAlchemy compiles them and does not run them.
"""

from models.database.connecting import Connector, PostgresConnector, watched
from models.database.dsn import WrongUrl, backend_name, check_url, sqlite_path
from models.database.engine import connector_of, engine, opened, refuse_unfit
from models.database.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    StatementTimeout,
    StatementTooDeep,
    TransientError,
)
from models.database.postgres import PostgresReads
from models.database.session import UnfitDatabase
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
    "UnfitDatabase",
    "Waits",
    "WrongUrl",
    "backend_name",
    "check_url",
    "connector_of",
    "engine",
    "opened",
    "reads",
    "refuse_unfit",
    "sqlite_path",
    "watched",
]


def reads(
    url: str, *, size: int = 10, timeout_s: float = 10, connector: Connector | None = None
) -> "SqliteReads | PostgresReads":
    """Return connections for planned reads, opened when they are first needed."""
    connector = connector or connector_of(url)
    if isinstance(connector, PostgresConnector):
        return PostgresReads(connector, size, timeout_s)
    return SqliteReads(sqlite_path(url), timeout_s)
