"""Documents on the command line: one as PDF, and the logo of documents."""

import asyncio
import datetime as dt
from dataclasses import replace
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.documents.facts import practice_of_document
from billing.documents.links import PREFIXES
from billing.documents.printer import Printer
from execution.read_audit import RequestReads, record_at_once
from identity.viewer import NOBODY
from models import DocumentKind, ViewerKind, database
from planner.deferred import FieldError
from resolvers.ids import bare
from server.cli.operators import operator
from server.command_errors import CommandError
from server.private_files import make_private
from server.settings import Settings


class NoDocument(CommandError):
    """Nothing was written. The text gives the reason."""


async def write_pdf(settings: Settings, id_: str, out: Path) -> str:
    """Write a document to a file, and return a sentence about it.

    The content is the file that was first given out, if there is one.
    """
    kind = PREFIXES.get(id_.partition("_")[0])
    try:
        key = bare(id_)
    except FieldError:
        kind = None
    if kind is None:
        raise NoDocument(f"There is no document {id_}.")
    engine = database.engine(settings.database_url)
    printer = Printer(
        engine, lambda: dt.datetime.now(dt.UTC), settings.font_paths, settings.field_keys
    )
    try:
        async with engine.connect() as conn:
            practice = await practice_of_document(conn, kind, key)
        found = await printer.print(kind, practice, key) if practice else None
        if practice and found:
            await record_document_read(engine, practice, kind, id_)
    finally:
        printer.close()
        await engine.dispose()
    if found is None:
        raise NoDocument(f"There is no document {id_}.")
    document, printed = found
    make_private(out)
    await asyncio.to_thread(out.write_bytes, printed.content)
    note = "" if printed.is_archival else " No font had all of its characters: see FONT_PATHS."
    return f"{document.kind.capitalize()} {document.number} is written to {out}.{note}"


async def record_document_read(
    engine: AsyncEngine, practice_id: str, kind: DocumentKind, id_: str
) -> None:
    """Record that the operator reads a client's document."""
    fields = (f"{kind.capitalize()}.document",)
    whole = replace(NOBODY, kind=ViewerKind.DASHBOARD, practice_id=practice_id, subject_id=None)
    reads = RequestReads(None, fields, ids=frozenset({id_}))
    by = operator(practice_id, "portal document", fields)
    await record_at_once(engine, whole, reads, by, dt.datetime.now(dt.UTC))
