"""Check of the fonts of documents."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import Select, select

from billing.documents.typesetting import fonts_show
from models import Client, Clinician, Contact, Letterhead, Practice
from server.cli.checks.check import CheckContext, CheckResult

NAMES: tuple[Select[Any], ...] = tuple(
    select(model.name) for model in (Practice, Letterhead, Clinician, Client, Contact)
)
ROWS_AT_ONCE = 10_000


async def check_fonts(context: CheckContext) -> CheckResult:
    """Return whether the fonts have every character of every name in the database."""
    folders = context.settings.font_paths
    if missing := missing_folders(folders):
        return CheckResult.failed(f"FONT_PATHS: there is no folder {', '.join(missing)}.")
    characters = await characters_of_names(context)
    if await asyncio.to_thread(fonts_show, "".join(sorted(characters)), folders):
        return CheckResult.ok("A document is typeset, and the fonts have every name's characters.")
    return CheckResult.warning(
        "Some names have characters that no font here has, so documents with them show boxes and"
        " are no PDF/A. Name a folder of fonts in FONT_PATHS."
    )


def missing_folders(folders: list[str]) -> list[str]:
    return [folder for folder in folders if not Path(folder).is_dir()]


async def characters_of_names(context: CheckContext) -> set[str]:
    characters = set[str]()
    async with context.engine.connect() as conn:
        for statement in NAMES:
            names = await conn.stream_scalars(statement.execution_options(yield_per=ROWS_AT_ONCE))
            async for part in names.partitions():
                characters.update(*part)
    return characters
