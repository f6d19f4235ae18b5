"""A document on the command line, as PDF."""

import asyncio
import datetime as dt
from pathlib import Path

from billing.documents.links import PREFIXES
from billing.documents.press import Press
from models import connections
from resolvers.ids import bare
from resolvers.planner.later import Refusal
from server.settings import Settings


class NoDocument(Exception):
    """Nothing was written; the text says why."""


async def write(settings: Settings, id_: str, out: Path) -> str:
    """What was written where, in words. It is the file that was first given out, if one was."""
    kind = PREFIXES.get(id_.partition("_")[0])
    try:
        key = bare(id_)
    except Refusal:
        kind = None
    if kind is None:
        raise NoDocument(f"There is no document {id_}.")
    engine = connections.engine(settings.database_url)
    press = Press(engine, lambda: dt.datetime.now(dt.UTC), settings.font_paths, settings.field_keys)
    try:
        found = await press.printed(kind, key)
    finally:
        press.close()
        await engine.dispose()
    if found is None:
        raise NoDocument(f"There is no document {id_}.")
    document, printed = found
    await asyncio.to_thread(out.write_bytes, printed.content)
    note = "" if printed.is_archival else " No font had all of its characters: see FONT_PATHS."
    return f"{document.kind.capitalize()} {document.number} is written to {out}.{note}"
