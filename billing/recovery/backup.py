"""Backups of an SQLite file: copied while it is served, and verified before they get their name.

The copy is made by SQLite's backup API in one step. Readers and writers go on during the step. The
copy has the transactions that were committed when it began.
"""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import select

from billing.ledger.verification import Verification, unprotected_tables
from billing.recovery.identity import backup_identity
from models import Practice
from models.database import open_engine

MARK = (
    "INSERT INTO installation (id, identity) VALUES (1, ?)"
    " ON CONFLICT (id) DO UPDATE SET identity = excluded.identity"
)
# The suffixes of the files that SQLite keeps next to a database.
BESIDE = ("-wal", "-shm", "-journal")


class NotBackedUp(Exception):
    """There is no backup. The text gives the reason."""


async def back_up(source: Path, target: Path) -> None:
    """Write a verified backup of a file, or restore the file from one. Raise NotBackedUp if there
    is a file of this name, or if the copy is damaged.

    Until then the copy has another name, and it is removed if it is not to be kept. Either copy is
    marked, so that it is not served before its recovery.
    """
    with temporary_copy(target) as copy:
        await asyncio.to_thread(copy_marked, source, copy)
        async for fault in faults(copy):
            raise NotBackedUp(f"The copy is damaged, and was not kept: {fault}.")
        publish(copy, target)


@contextmanager
def temporary_copy(target: Path) -> Iterator[Path]:
    """Yield a new, empty file in the target's folder, for its owner alone. Remove it in the end."""
    if target.exists():
        raise NotBackedUp(f"{target} exists, and a backup never replaces a file.")
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for suffix in ("", *BESIDE):
            Path(f"{name}{suffix}").unlink(missing_ok=True)


def copy_marked(source: Path, copy: Path) -> None:
    """Copy the database in one file, and mark the copy as a backup."""
    address = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True)) as original,
        closing(sqlite3.connect(copy)) as made,
    ):
        original.backup(made)
        made.execute("PRAGMA journal_mode=DELETE")
        made.execute(MARK, [backup_identity()])
        made.commit()


async def faults(file: Path) -> AsyncIterator[str]:
    """Yield the faults of a copy: of the file, and of the books in it."""
    with closing(sqlite3.connect(file)) as conn:
        for (line,) in conn.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield str(line)
        for table, *_ in conn.execute("PRAGMA foreign_key_check"):
            yield f"a row of {table} refers to nothing"
    async with open_engine(f"sqlite:///{file}") as engine:
        for table in await unprotected_tables(engine):
            yield f"the table {table} is not append-only"
        async with engine.connect() as conn:
            practices = (await conn.scalars(select(Practice.id))).all()
        for practice_id in practices:
            async for finding in Verification(engine, practice_id).findings():
                difference = finding.difference
                yield f"pra_{practice_id} {difference.subject} {difference.reason}"


def publish(copy: Path, target: Path) -> None:
    """Give a complete copy its name, unless a file has it by now."""
    with closing(sqlite3.connect(copy)) as conn:
        # The verification has opened the file as a server does.
        conn.execute("PRAGMA journal_mode=DELETE")
    sync(copy)
    try:
        os.link(copy, target)
    except FileExistsError:
        raise NotBackedUp(f"{target} exists, and a backup never replaces a file.") from None
    sync(target.parent)


def sync(path: Path) -> None:
    """Have the operating system write a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
