"""Checks of the database: it answers, its tables and triggers are up to date, and its role may
serve.
"""

from pathlib import Path

from sqlalchemy import text

from models import database, migrations
from models.serving_role import role_faults
from models.version_triggers import missing_triggers
from server.cli.checks.check import CheckContext, CheckResult, listed


async def check_connection(context: CheckContext) -> CheckResult:
    settings, url = context.settings, context.settings.database_url
    if context.engine.dialect.name == "sqlite":
        return check_file(Path(database.sqlite_path(url)))
    await database.refuse_unfit(url, settings.waits, settings.statement_timeout_s)
    async with context.engine.connect() as conn:
        version = await conn.scalar(text("SHOW server_version"))
    return CheckResult.ok(f"PostgreSQL {version} answers, and its sessions keep their settings.")


def check_file(path: Path) -> CheckResult:
    """Return whether SQLite's file exists. Connecting would create it."""
    if path.is_file():
        return CheckResult.ok("The file of DATABASE_URL exists.")
    return CheckResult.fatal(f"There is no file {path}: run `portal migrate` first.")


async def check_role(context: CheckContext) -> CheckResult:
    if context.engine.dialect.name != "postgresql":
        return CheckResult.ok("SQLite has no roles: whoever may read the file may read everything.")
    if faults := await role_faults(context.engine):
        return CheckResult.fatal(listed(faults))
    return CheckResult.ok(
        "The role of DATABASE_URL has the rights that it needs and no more, and every table with"
        " rows of practices has its policy of row-level security."
    )


async def check_revision(context: CheckContext) -> CheckResult:
    found = await migrations.current_revision(context.engine)
    if fault := migrations.revision_fault(found):
        return CheckResult.fatal(fault)
    return CheckResult.ok(f"The tables are those of this release, revision {found}.")


async def check_triggers(context: CheckContext) -> CheckResult:
    """Check the triggers that renew versions of data: without them old answers would be given."""
    if context.settings.answer_cache_mb == 0:
        return CheckResult.ok("No answers are kept (ANSWER_CACHE_MB=0).")
    async with context.engine.connect() as conn:
        tables = await conn.run_sync(missing_triggers)
    if not tables:
        return CheckResult.ok("Every change of a row that is in kept answers renews its versions.")
    return CheckResult.fatal(
        f"The triggers that renew versions of data are missing, disabled or changed on"
        f" {', '.join(tables)}: answers would stay after changes. Run `portal migrate`, which"
        " creates them, or set ANSWER_CACHE_MB=0 to keep no answers (docs/databases.md)."
    )
