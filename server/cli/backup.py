"""The commands `portal backup` and `portal restore`, for SQLite."""

from pathlib import Path

from billing.recovery.backup import BESIDE, NotBackedUp, back_up
from models.database import backend_name, sqlite_path
from server.cli.single_process import sole_server
from server.command_errors import CommandError
from server.settings import Settings

ON_POSTGRES = (
    "DATABASE_URL names a PostgreSQL database, which its own programs back up and restore:"
    " docs/operations.md, Backup and restore."
)


class NoBackup(CommandError):
    """Nothing was written. The text gives the reason."""


async def write_backup(settings: Settings, file: Path) -> str:
    """Write a backup of the settings' database, and return a sentence."""
    source = database_file(settings)
    if not source.exists():
        raise NoBackup(f"There is no database {source}.")
    await copy(source, file)
    return f"{file} is a verified backup. After a restore, `portal recover` comes first."


async def restore_backup(settings: Settings, file: Path) -> str:
    """Restore the settings' database from a backup, and return a sentence."""
    target = database_file(settings)
    for left in (Path(f"{target}{suffix}") for suffix in ("", *BESIDE)):
        if left.exists():
            raise NoBackup(f"{left} exists: move the old database away first, with all its files.")
    with sole_server(settings.database_url):
        # The lock has created an empty file of the database's name.
        target.unlink(missing_ok=True)
        await copy(file, target)
    return f"{target} is restored. Run `portal recover` before it is served."


def database_file(settings: Settings) -> Path:
    if backend_name(settings.database_url) != "sqlite":
        raise NoBackup(ON_POSTGRES)
    return Path(sqlite_path(settings.database_url))


async def copy(source: Path, target: Path) -> None:
    if not target.parent.is_dir():
        raise NoBackup(f"There is no folder {target.parent}.")
    try:
        await back_up(source, target)
    except NotBackedUp as error:
        raise NoBackup(str(error)) from None
