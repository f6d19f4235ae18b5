"""How the rows are reached: an engine for what writes, and connections for planned reads.

Planned reads are one statement each whose only value is text, so they go to the driver itself:
SQLAlchemy compiles them and does not run them.
"""

from sqlalchemy import make_url

from models.database.engine import engine, opened
from models.database.errors import DatabaseBusy, StatementTimeout, StatementTooDeep
from models.database.postgres import PostgresReads
from models.database.sqlite import SqliteReads
from models.database.waits import PATIENT, PREPARED_A_CONNECTION, Statement, Waits

__all__ = [
    "PATIENT",
    "PREPARED_A_CONNECTION",
    "DatabaseBusy",
    "PostgresReads",
    "SqliteReads",
    "Statement",
    "StatementTimeout",
    "StatementTooDeep",
    "Waits",
    "engine",
    "opened",
    "reads",
]


def reads(url: str, *, size: int = 10, timeout_s: float = 10) -> "SqliteReads | PostgresReads":
    """Connections for planned reads, opened when they are first needed."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return PostgresReads(parsed, size, timeout_s)
    return SqliteReads(parsed.database or "", timeout_s)
