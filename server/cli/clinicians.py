"""The commands `portal clinician`: clinicians, entered, changed and listed."""

import json as json_
from typing import Annotated, Any

import typer

from server.cli.console import print_id, run, settings_from_environment
from server.cli.fields import ADDRESS, SOURCE, Field, Json, Source, given, with_fields

app = typer.Typer(no_args_is_help=True, help="Enter, change and list clinicians.")

Practice = Annotated[str, typer.Option(help="The practice: pra_…")]
DETAILS = (
    Field("credentials", str, "The letters after the name, as LCSW."),
    Field("npi", str, "The National Provider Identifier."),
    Field("licence_number", str, "The number of the licence."),
    Field("phone", str, "The telephone number on superbills."),
    Field("tax_id", str, "The tax id on superbills, which is stored encrypted (FIELD_KEY)."),
    *ADDRESS,
)


@app.command("create")
@with_fields(DETAILS)
def create(
    practice: Practice,
    name: Annotated[str, typer.Option(help="The clinician's name.")],
    external_id: Annotated[
        str | None,
        typer.Option(help="Their key in another system: the same key again changes this one."),
    ] = None,
    source: Source = SOURCE,
    json: Json = False,
    **details: Any,
) -> None:
    """Enter a clinician, with the letterhead of their superbills. Print the id."""
    from server.cli import clinician_admin

    settings, values = settings_from_environment(), given(details) | {"name": name}
    created = clinician_admin.create(settings, practice, values, (source, external_id))
    print_id(run(created), json=json)


@app.command("update")
@with_fields((Field("name", str, "The clinician's name."), *DETAILS))
def update(
    clinician: Annotated[str, typer.Argument(help="The clinician: cln_…")],
    clear: Annotated[
        list[str] | None, typer.Option(help="A detail to remove, as phone; may be repeated.")
    ] = None,
    **details: Any,
) -> None:
    """Change the details that are given. Superbills to come have a new letterhead."""
    from server.cli import clinician_admin

    settings = settings_from_environment()
    typer.echo(run(clinician_admin.update(settings, clinician, given(details), clear or [])))


@app.command("list")
def listed(practice: Practice, json: Json = False) -> None:
    """List the clinicians of a practice: id, name, credentials, NPI."""
    from server.cli import clinician_admin

    clinicians = run(clinician_admin.list_clinicians(settings_from_environment(), practice))
    if json:
        typer.echo(json_.dumps(clinicians, ensure_ascii=False, indent=2))
        return
    for one in clinicians:
        name = ", ".join(filter(None, (one["name"], one["credentials"])))
        typer.echo(f"{one['id']}  {name}  {one['npi'] or ''}".rstrip())
