"""The check of the read replica: it is a copy of the database, and recent enough."""

import asyncio

from models.database import PostgresConnector, connector_of, replica_lag
from models.database.connector import PROBE_EVERY_S
from server.cli.checks.check import CheckContext, CheckResult

# Measurements until a replica that follows has replayed what was written before the first.
MEASUREMENTS = 3


async def check_replica(context: CheckContext) -> CheckResult:
    settings = context.settings
    if settings.replica_url is None:
        return CheckResult.skipped("REPLICA_URL is not set: dashboards read from DATABASE_URL.")
    primary = connector_of(settings.database_url)
    assert isinstance(primary, PostgresConnector)
    lag = replica_lag(primary, settings.replica_url, settings.replica_max_lag_s)
    try:
        for _ in range(MEASUREMENTS):
            await lag.measure()
            if lag.is_within_bound or lag.refusal:
                break
            await asyncio.sleep(PROBE_EVERY_S)
    finally:
        await lag.close()
    if lag.is_within_bound:
        return CheckResult.ok(f"The replica follows, and is {lag.seconds:.1f} s behind.")
    reason = lag.refusal or "is behind"
    return CheckResult.warning(f"Dashboards read from the primary: the replica {reason}.")
