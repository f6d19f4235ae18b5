"""Access to the database: an engine for writes, and connections for planned reads.

A planned read is one statement that returns one text. SQLAlchemy compiles the statement, and the
driver runs it without SQLAlchemy.
"""

from models.database.admission import NO_PRACTICE, SERVER, Budgets, Caller, Lane, RateLimited
from models.database.confinement import EVERY_PRACTICE, every_practice, within_practice
from models.database.connector import PROBE_S, Connector, PostgresConnector, watch_database
from models.database.dsn import Dsn, WrongUrl, backend_name, check_url, sqlite_path
from models.database.engine import connector_of, engine, open_engine, refuse_unfit
from models.database.error_redaction import concealed
from models.database.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    StatementTimeout,
    StatementTooDeep,
    TransientError,
    is_forbidden,
    is_unmigrated,
)
from models.database.postgres import PostgresReads
from models.database.read_pools import Lanes, ReadLimits, Reads
from models.database.replica import ReplicatedReads
from models.database.replica_lag import ReplicaLag
from models.database.session import UnfitDatabase
from models.database.snapshots import open_snapshot
from models.database.sqlite import SqliteReads
from models.database.timeouts import PATIENT, PREPARED_A_CONNECTION, Statement, Waits

__all__ = [
    "EVERY_PRACTICE",
    "NO_PRACTICE",
    "PATIENT",
    "PREPARED_A_CONNECTION",
    "SERVER",
    "Budgets",
    "Caller",
    "Connector",
    "DatabaseBusy",
    "DatabaseUnavailable",
    "Lane",
    "Lanes",
    "PostgresConnector",
    "PostgresReads",
    "RateLimited",
    "ReadLimits",
    "Reads",
    "ReplicaLag",
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
    "concealed",
    "connector_of",
    "engine",
    "every_practice",
    "is_forbidden",
    "is_unmigrated",
    "lanes",
    "open_engine",
    "open_snapshot",
    "reads",
    "refuse_unfit",
    "replica_lag",
    "sqlite_path",
    "watch_database",
    "within_practice",
]


# Connections to a SQLite file: those that people's reads have, and dashboards'.
SQLITE_READERS, SQLITE_DASHBOARD_READERS = 3, 2


def reads(
    url: str,
    *,
    size: int = 10,
    timeout_s: float = 10,
    connector: Connector | None = None,
    lane: Lane | None = None,
) -> SqliteReads | PostgresReads:
    """Return connections for planned reads, opened when they are first needed: as many as the lane
    has places."""
    lane = lane or Lane(size, wait_s=timeout_s)
    connector = connector or connector_of(url)
    if isinstance(connector, PostgresConnector):
        return PostgresReads(connector, timeout_s, lane)
    return SqliteReads(sqlite_path(url), timeout_s, lane)


def lanes(
    url: str, limits: ReadLimits, connector: Connector, replica_url: str | None = None
) -> Lanes:
    """Return connections for the planned reads of everybody, within these limits."""
    budgets = Budgets(limits.token_seconds, limits.token_statements)
    sizes = limits.connections, limits.dashboard_connections
    if not isinstance(connector, PostgresConnector):
        sizes = SQLITE_READERS, SQLITE_DASHBOARD_READERS
    times = limits.timeout_s, limits.dashboard_timeout_s
    made = [
        Lane(size, wait_s=limits.wait_s, budgets=budgets, name=name)
        for size, name in zip(sizes, ("people", "dashboards"), strict=True)
    ]
    people, dashboards = (
        reads(url, timeout_s=timeout_s, connector=connector, lane=lane)
        for lane, timeout_s in zip(made, times, strict=True)
    )
    if replica_url is None or not isinstance(dashboards, PostgresReads):
        return Lanes(people, dashboards, budgets, made)
    lane = Lane(sizes[1], wait_s=limits.wait_s, budgets=budgets, name="replica")
    lag = replica_lag(dashboards.connector, replica_url, limits.replica_lag_s)
    replica = PostgresReads(lag.connector, limits.dashboard_timeout_s, lane)
    replicated = ReplicatedReads(dashboards, replica, lag)
    return Lanes(people, replicated, budgets, [*made, lane], lag)


def replica_lag(primary: PostgresConnector, replica_url: str, most_s: float) -> ReplicaLag:
    """Return the lag of a replica behind its primary, measured on connections of its own."""
    replica = PostgresConnector(Dsn.of(replica_url), of_replica=True)
    of_primary, of_replica = (
        PostgresReads(connector, PROBE_S, Lane(1)) for connector in (primary, replica)
    )
    return ReplicaLag(of_primary, of_replica, most_s)
