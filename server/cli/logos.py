"""Logos of documents on the command line."""

import asyncio
import datetime as dt
from pathlib import Path

from billing.documents.typesetting import can_be_printed
from billing.entry.commands import practice_entries
from billing.entry.practices import PracticeLogo, set_logo
from billing.payments.context import local_day
from models import Practice
from server.cli.entering import entering_for
from server.clock import utc_now
from server.command_errors import CommandError
from server.settings import Settings

# Each document contains the logo.
LARGEST_LOGO = 100_000


class NoLogo(CommandError):
    """The practice's logo is unchanged. The text gives the reason."""


async def read_logo(file: Path) -> bytes:
    """Return the content of a file that can be printed as a logo. Raise NoLogo for any other."""
    try:
        content = await asyncio.to_thread(file.read_bytes)
    except OSError as error:
        raise NoLogo(f"The logo {file} can't be read: {error.strerror}.") from None
    if len(content) > LARGEST_LOGO:
        raise NoLogo(f"A logo has at most {LARGEST_LOGO // 1000} kB, and {file} is larger.")
    if not await asyncio.to_thread(can_be_printed, content):
        raise NoLogo(f"{file} is not a PNG, JPEG or SVG that can be printed.")
    return content


async def change_logo(settings: Settings, practice: str, file: Path, since: dt.date | None) -> str:
    """Set a practice's logo for documents issued from a date on, by default today.

    Return a sentence about the change.
    """
    content = await read_logo(file)
    async with entering_for(settings, "portal logo", Practice, practice) as (context, row):
        day = since or local_day(utc_now(), row.time_zone)
        async with practice_entries(context, row.id) as entries:
            await entries.enter(set_logo, PracticeLogo(content, day))
    return f"Documents of {row.name} issued from {day} on are printed with {file}."
