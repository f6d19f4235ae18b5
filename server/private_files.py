"""Files that hold health information: only their owner reads them, and whom the owner lets."""

import logging
import os
import stat
from pathlib import Path

from models.database import backend_name, sqlite_path

OWNERS, OTHERS = 0o600, 0o007
# SQLite's files beside a database; it makes them with the database's own rights.
BESIDE = ("", "-wal", "-shm", "-journal")
log = logging.getLogger("portal")


def make_private(path: Path) -> None:
    """Create a file for its owner alone; take the rights of everybody from one that is there.

    A group keeps its rights, since an operator gives them, to a backup's user perhaps. Where the
    folder is missing nothing is created: whoever opens the file tells so.
    """
    if not path.parent.is_dir():
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, OWNERS))
    except FileExistsError:
        for file in (Path(f"{path}{suffix}") for suffix in BESIDE):
            close_to_others(file)


def close_to_others(file: Path) -> None:
    if not file.exists():
        return
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & OTHERS:
        try:
            file.chmod(mode & ~OTHERS)
        except PermissionError:
            log.warning("everybody on this machine may read %s: it belongs to another user", file)


def make_private_database(url: str) -> None:
    """Do so with an SQLite database's file; PostgreSQL sees to its own."""
    if backend_name(url) == "sqlite":
        make_private(Path(sqlite_path(url)))
