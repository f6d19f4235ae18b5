"""The settings of the database: where it is, and how long and on how many connections anything
waits for it.
"""

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from models.database import ReadLimits, Waits, backend_name, check_url
from models.database.dsn import Dsn


class DatabaseSettings(BaseSettings):
    """Settings for the database. `server/settings.py` has the other settings."""

    database_url: str = Field(
        description="URL of the database: `postgresql://user:password@host/name` with libpq's"
        " parameters, such as `?sslmode=verify-full` (`docs/databases.md`), or"
        " `sqlite:///file` for one process on one machine."
    )
    database_owner_url: str | None = Field(
        default=None,
        description="URL of the same database for the role that owns the tables (PostgreSQL). Only"
        " `portal migrate`, `portal load-demo` and `portal client erase` use it; `portal migrate`"
        " grants the tables to the role of `DATABASE_URL`, which serves.",
    )
    replica_url: str | None = Field(
        default=None,
        description="URL of a read replica of the same database (PostgreSQL), for the same role:"
        " dashboards and exports read from it (`docs/scaling.md`).",
    )
    replica_max_lag_s: float = Field(
        default=5,
        ge=2,
        le=3600,
        description="Seconds that the replica may be behind; beyond that dashboards read from the"
        " primary.",
    )
    database_connections: int = Field(
        default=10,
        ge=1,
        le=200,
        description="Connections for the reads of clients and contacts, in each process"
        " (PostgreSQL); about twice the database's cores answer soonest.",
    )
    dashboard_connections: int = Field(
        default=4,
        ge=1,
        le=200,
        description="Connections for the reads of dashboards, in each process (PostgreSQL), so that"
        " other viewers don't wait for them; half of the database's cores delay others least.",
    )
    dashboard_timeout_s: float = Field(
        default=3,
        gt=0,
        le=600,
        description="Seconds after which the database cancels a dashboard's read.",
    )
    queue_timeout_s: float = Field(
        default=3,
        gt=0,
        le=60,
        description="Seconds that a read waits for a connection; then the response is"
        " `UNAVAILABLE`, or `RATE_LIMITED` if it waits for other reads of its own token.",
    )
    token_statements: int = Field(
        default=2,
        ge=1,
        le=200,
        description="Reads of one token that run at once, in each process; its other reads wait.",
    )
    token_seconds: float = Field(
        default=20,
        gt=0,
        description="Seconds in a minute for one token's statements, and for planning them, in each"
        " process; beyond that the response is `RATE_LIMITED`.",
    )
    statement_timeout_s: float = Field(
        default=10,
        gt=0,
        le=600,
        description="Seconds after which the database cancels a read or a statement that writes.",
    )
    lock_timeout_s: float = Field(
        default=3,
        gt=0,
        le=60,
        description="Seconds that a change waits for a row that another change has locked, or for a"
        " connection; then the response is `UNAVAILABLE`. On SQLite all changes wait for"
        " one another.",
    )
    idle_timeout_s: float = Field(
        default=15,
        gt=0,
        le=600,
        description="Seconds after which PostgreSQL ends the transaction of a process that doesn't"
        " continue, and frees its rows.",
    )
    write_connections: int = Field(
        default=10,
        ge=2,
        le=200,
        description="Connections for changes, in each process (PostgreSQL); background work has as"
        " many of its own.",
    )

    @field_validator("database_url", "database_owner_url", "replica_url")
    @classmethod
    def known_database(cls, value: str | None) -> str | None:
        if value is not None:
            check_url(value)
        return value

    @model_validator(mode="after")
    def replica_is_of_postgresql(self) -> "DatabaseSettings":
        urls = self.database_url, self.replica_url
        if self.replica_url and any(backend_name(url) != "postgresql" for url in urls if url):
            raise ValueError("REPLICA_URL is of PostgreSQL, and so is DATABASE_URL beside it.")
        if self.replica_url and len(Dsn.of(self.replica_url).hosts) > 1:
            raise ValueError("REPLICA_URL names one host, since each has a lag of its own.")
        return self

    @property
    def waits(self) -> Waits:
        """Return how long changes wait."""
        return Waits(
            self.lock_timeout_s,
            self.statement_timeout_s,
            self.idle_timeout_s,
            connections=self.write_connections,
        )

    @property
    def read_limits(self) -> ReadLimits:
        """Return how many reads run at once, and how long each takes or waits."""
        return ReadLimits(
            connections=self.database_connections,
            dashboard_connections=self.dashboard_connections,
            timeout_s=self.statement_timeout_s,
            dashboard_timeout_s=min(self.dashboard_timeout_s, self.statement_timeout_s),
            wait_s=self.queue_timeout_s,
            replica_lag_s=self.replica_max_lag_s,
            token_statements=self.token_statements,
            token_seconds=self.token_seconds,
        )
