"""The command `portal client export`: a client's whole record as a ZIP file."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from billing.audit_log import record
from billing.client_records.archive import RecordArchive
from billing.client_records.rows import RecordSubject
from billing.documents.printer import Printer
from models import AccessAction, Client
from models.database import open_engine, open_snapshot
from server.cli.operators import operator
from server.cli.rows import find_row
from server.clock import utc_now
from server.command_errors import CommandError
from server.private_files import OWNERS
from server.settings import Settings

COMMAND = "portal client export"
# The personal data that the audit log says was read.
FIELDS = ("Client.record",)


class NotExported(CommandError):
    """No file was written. The text gives the reason."""


async def export_client(settings: Settings, client: str, out: Path) -> str:
    """Write a client's record to a file, and return a sentence about it."""
    async with open_engine(settings.database_url) as engine:
        async with engine.begin() as conn:
            row = await find_row(conn, Client, client)
            by = operator(row.practice_id, COMMAND, FIELDS)
            await record(conn, by, row.id, utc_now(), AccessAction.READ)
        printer = Printer(engine, utc_now, settings.font_paths, settings.field_keys)
        try:
            async with open_snapshot(settings.database_url) as snapshot:
                subject = RecordSubject(snapshot, row.practice_id, row.id)
                with new_file(out) as file:
                    await write(file, RecordArchive(subject, printer, utc_now()).chunks())
        finally:
            printer.close()
    return f"The record of cli_{row.id} is written to {out}."


async def write(file: BinaryIO, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        await asyncio.to_thread(file.write, chunk)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Create a file for its owner alone. Remove it again if it can't be completed."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNERS)
    except OSError as error:
        raise NotExported(f"{path} can't be created: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        path.unlink()
        raise
