"""The command `portal import`: a practice's records from a folder or ZIP file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.imports.csv_records import source_files
from billing.imports.faults import Faults
from billing.imports.folders import NotAFolder, opened_folder
from billing.imports.importing import (
    ImportDisturbed,
    ImportReport,
    ImportRequest,
    Progress,
    import_records,
    no_progress,
)
from billing.imports.mapping import OURS, ImportMapping, WrongMapping, read_mapping
from billing.imports.values import Formats
from billing.money import currency_digits
from billing.time_zones import zone
from models import Practice, database
from server.cli.operators import operator
from server.cli.payments import open_stripe
from server.clock import utc_now
from server.command_errors import CommandError
from server.recovery_check import refuse_restored
from server.settings import Settings

# The steps of a progress bar.
STEPS = 1_000


class NotImported(CommandError):
    """Nothing was imported. The text gives the reason."""


@dataclass(frozen=True)
class ImportCommand:
    """The arguments of the command."""

    folder: Path
    practice: str
    source: str
    is_trial: bool
    cards_are_not_ours: bool
    mapping: Path | None = None
    progress: Progress = no_progress

    async def run(self, settings: Settings) -> ImportReport:
        """Import the folder, and return the report."""
        url = settings.database_url
        try:
            async with database.open_engine(url) as engine:
                await refuse_restored(engine)
                request = await self.request(engine)
                with opened_folder(self.folder) as folder:
                    faults = Faults()
                    files = source_files(folder, request.formats, faults, self.read_mapping())
                    return await import_records(
                        engine,
                        request,
                        files,
                        faults,
                        utc_now(),
                        partial(open_stripe, settings, engine),
                    )
        except (NotAFolder, ImportDisturbed) as error:
            raise NotImported(str(error)) from None

    def read_mapping(self) -> ImportMapping:
        if self.mapping is None:
            return OURS
        try:
            return read_mapping(self.mapping.read_bytes())
        except WrongMapping as error:
            raise NotImported(f"{self.mapping} {error}") from None

    async def request(self, engine: AsyncEngine) -> ImportRequest:
        practice_id = self.practice.removeprefix("pra_")
        columns = Practice.id, Practice.currency, Practice.time_zone
        async with engine.connect() as conn:
            practices = (await conn.execute(select(*columns))).all()
        for row in practices:
            if row.id == practice_id and (time_zone := zone(row.time_zone)) is not None:
                formats = Formats(currency_digits(row.currency), time_zone)
                by = operator(practice_id, "portal import")
                return ImportRequest(
                    practice_id,
                    self.source,
                    formats,
                    self.is_trial,
                    self.cards_are_not_ours,
                    by,
                    self.progress,
                )
        raise NotImported(f"There is no practice {self.practice}.")


@contextmanager
def progress_bar(stream: TextIO, *, is_wanted: bool) -> Iterator[Progress]:
    """Yield a function that shows the progress of an import on a terminal, and else nothing."""
    if not is_wanted or not stream.isatty():
        yield no_progress
        return
    with typer.progressbar(length=STEPS, label="Importing", file=stream) as bar:

        def show(part: float) -> None:
            bar.update(round(STEPS * part) - bar.pos)

        yield show


# -- output ----------------------------------------------------------------------------------------


def lines_of(report: ImportReport) -> Iterator[str]:
    """Yield the lines of a report: the faults, or the numbers of records."""
    for fault in report.faults:
        yield str(fault)
    if report.fault_count:
        more = report.fault_count - len(report.faults)
        if more:
            yield f"… and {more:,} more faults."
        yield from report.proof.explanations
        yield f"Nothing was imported: {report.fault_count:,} faults."
        return
    for file, counted in report.counts.items():
        numbers = "  ".join(f"{number:>8,} {outcome}" for outcome, number in counted.items())
        yield f"{file:18}{numbers}"
    for client_id in report.put_off:
        yield f"client {client_id} is paying now: the next import enters this client's records."
    if report.proof.clients:
        yield f"The balances of {report.proof.clients:,} clients are those of totals.csv."
    yield "Imported." if report.is_imported else "A trial: everything was rolled back."
