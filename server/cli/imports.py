"""The commands `portal imports`: the list of imports, and the undoing of one."""

import json as json_
from typing import Annotated

import typer

from server.cli.console import run, settings_from_environment
from server.cli.fields import Json

app = typer.Typer(no_args_is_help=True, help="List the imports of a practice, and undo one.")


@app.command("list")
def show(
    practice: Annotated[str, typer.Option(help="The practice: pra_…")], json: Json = False
) -> None:
    """List the imports that have entered something, the newest first."""
    from server.cli import past_imports

    found = run(past_imports.list_imports(settings_from_environment(), practice))
    if json:
        typer.echo(json_.dumps(found, ensure_ascii=False, indent=2))
        return
    for one in found:
        undone = f"undone {one['undone_at']}" if one["undone_at"] else ""
        numbers = f"{one['new']:>8,} new {one['changed']:>8,} changed"
        facts = one["id"], one["imported_at"], one["source"], one["imported_by"], numbers, undone
        typer.echo("  ".join(filter(None, facts)))


@app.command("undo")
def undo(run_id: Annotated[str, typer.Argument(metavar="RUN", help="The import: imp_…")]) -> None:
    """Undo an import that nothing builds on: its entries are reversed, its numbers stay used."""
    from server.cli import past_imports

    typer.echo(run(past_imports.undo(settings_from_environment(), run_id)))
