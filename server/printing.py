"""A document on the command line, as PDF."""

import asyncio
from pathlib import Path

from billing.documents.reading import read
from billing.documents.typesetting import printed
from models import connections
from resolvers.ids import bare
from resolvers.planner.later import Refusal
from server.settings import Settings

KINDS = {"inv": "invoice", "stm": "statement", "sbl": "superbill", "rct": "receipt"}


class NoDocument(Exception):
    """Nothing was written; the text says why."""


async def write(settings: Settings, id_: str, out: Path) -> str:
    """What was written where, in words."""
    kind = KINDS.get(id_.partition("_")[0])
    try:
        key = bare(id_) if kind else ""
    except Refusal:
        key = ""
    engine = connections.engine(settings.database_url)
    try:
        async with engine.connect() as rows:
            document = await read(rows, kind, key) if kind and key else None
    finally:
        await engine.dispose()
    if document is None:
        raise NoDocument(f"There is no document {id_}.")
    made = printed(document, settings.font_paths)
    await asyncio.to_thread(out.write_bytes, made.content)
    note = "" if made.is_archival else " No font has all of its characters: set FONT_PATHS."
    return f"{document.kind.capitalize()} {document.number} is written to {out}.{note}"
