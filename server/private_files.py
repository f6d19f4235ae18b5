"""Files with health information: only their owner and permitted groups may read them."""

import logging
import os
import stat
from pathlib import Path

from models.database import backend_name, sqlite_path

OWNERS, OTHERS = 0o600, 0o007
# The suffixes of SQLite's files. SQLite creates them with the database's own permissions.
BESIDE = ("", "-wal", "-shm", "-journal")
log = logging.getLogger("portal")


def make_private(path: Path) -> None:
    """Create a file for its owner alone, or remove all others' permissions from an existing file.

    A group keeps its permissions, which an operator may have given to a backup's user. If the
    folder is missing nothing is created: opening the file will report that.
    """
    if not path.parent.is_dir():
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, OWNERS))
    except FileExistsError:
        for file in (Path(f"{path}{suffix}") for suffix in BESIDE):
            close_to_others(file)


def close_to_others(file: Path) -> None:
    """Remove all others' permissions from a file. A device, as /dev/null, is not a file."""
    if not file.is_file():
        return
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & OTHERS:
        try:
            file.chmod(mode & ~OTHERS)
        except PermissionError:
            log.warning("every user of this machine may read %s: it belongs to another user", file)


def make_private_database(url: str) -> None:
    """Make an SQLite database's files private. PostgreSQL protects its own files."""
    if backend_name(url) == "sqlite":
        make_private(Path(sqlite_path(url)))
