"""The imports of practices, listed and undone by an operator."""

from functools import partial
from typing import Any

from sqlalchemy import select

from billing.imports.client_undoing import NotUndone
from billing.imports.importing import ImportDisturbed
from billing.imports.undoing import undo_import
from models import PastImport, database
from server.cli.operators import operator
from server.clock import utc_now
from server.command_errors import CommandError
from server.settings import Settings

PREFIX = "imp_"


class ImportKept(CommandError):
    """An import that was not undone. The text gives the reason."""


async def list_imports(settings: Settings, practice: str) -> list[dict[str, Any]]:
    """Return a practice's imports, the newest first."""
    own = PastImport.practice_id == practice.removeprefix("pra_")
    order = PastImport.imported_at.desc(), PastImport.id.desc()
    async with (
        database.open_engine(settings.database_url) as engine,
        engine.connect() as conn,
    ):
        found = await conn.execute(select(PastImport.__table__).where(own).order_by(*order))
        return [
            {
                "id": f"{PREFIX}{row.id}",
                "source": row.source,
                "imported_at": f"{row.imported_at:%Y-%m-%d %H:%M:%S}",
                "imported_by": row.imported_by,
                "new": row.entered,
                "changed": row.changed,
                "undone_at": f"{row.undone_at:%Y-%m-%d %H:%M:%S}" if row.undone_at else None,
            }
            for row in found
        ]


async def undo(settings: Settings, import_id: str) -> str:
    """Undo an import, and return a sentence about the outcome."""
    actor_of = partial(operator, command="portal imports undo")
    try:
        async with database.open_engine(settings.database_url) as engine:
            report = await undo_import(engine, import_id.removeprefix(PREFIX), actor_of, utc_now())
    except (NotUndone, ImportDisturbed) as error:
        raise ImportKept(str(error)) from None
    return (
        f"Undone: {report.invoices:,} invoices are void, and {report.payments:,} payments are"
        f" reversed, of {report.clients:,} clients."
    )
