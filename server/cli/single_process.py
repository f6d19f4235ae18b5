"""The lock file that allows one process to serve an SQLite file, which has one writer."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from models.database import DatabaseUnavailable, backend_name, sqlite_path
from server.command_errors import CommandError
from server.private_files import make_private, make_private_database


class AlreadyServed(CommandError):
    """Another process serves this file, or more than one process was requested."""


@contextmanager
def sole_server(database_url: str, processes: int = 1) -> Iterator[None]:
    """Hold the file's lock while serving. PostgreSQL needs no lock."""
    if backend_name(database_url) != "sqlite":
        yield
        return
    if processes > 1:
        raise AlreadyServed("SQLite is served by one process: leave --processes at 1.")
    path = sqlite_path(database_url)
    lock_path = Path(f"{path}.lock")
    make_private(lock_path)
    make_private_database(database_url)
    with open_lock(lock_path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyServed(f"Another process serves {path}.") from None
        yield


def open_lock(path: Path) -> IO[str]:
    """Open the lock file. Where that is impossible, the database's file can't be opened either."""
    try:
        return path.open("w")
    except OSError as error:
        raise DatabaseUnavailable("unable to open database file") from error
