"""The commands `portal practice`: practices, created, changed and listed."""

import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.console import print_id, run, settings_from_environment
from server.cli.fields import Json
from server.cli.practice_settings import given_settings, with_settings

app = typer.Typer(no_args_is_help=True, help="Create, change and list practices.")

File = Annotated[
    Path | None,
    typer.Argument(dir_okay=False, help="A TOML file of settings, as docs/import/practice.toml."),
]


@app.command("create")
@with_settings
def create(file: File = None, json: Json = False, **settings: Any) -> None:
    """Create a practice from a file, from options, or from both. Print its id.

    An option wins over the file. A practice needs a name, a time zone, a currency and a locale.
    """
    from server.cli import practice_admin

    given = given_settings(file, settings)
    created = run(practice_admin.create_practice(settings_from_environment(), given))
    print_id(created.id, json=json)
    typer.echo(created.sentence, err=True)


@app.command("update")
@with_settings
def update(
    practice: Annotated[str, typer.Argument(help="The practice: pra_…")],
    file: File = None,
    clear: Annotated[
        list[str] | None, typer.Option(help="A setting to remove, as phone; may be repeated.")
    ] = None,
    **settings: Any,
) -> None:
    """Change the settings that a file or options name. All others stay.

    Documents issued before keep the letterhead, the logo and the number that they have.
    """
    from server.cli import practice_admin

    given = given_settings(file, settings)
    typer.echo(
        run(
            practice_admin.update_practice(
                settings_from_environment(), practice, given, clear or []
            )
        )
    )


@app.command("list")
def listed(json: Json = False) -> None:
    """List the practices: id, name, time zone, currency, Online Payments."""
    from server.cli import practice_list

    practices = run(practice_list.list_practices(settings_from_environment()))
    if json:
        typer.echo(json_.dumps(practices, ensure_ascii=False, indent=2))
        return
    if not practices:
        typer.echo("There is no practice yet: `portal practice create` makes one.", err=True)
    for practice in practices:
        typer.echo(practice_list.practice_line(practice))
