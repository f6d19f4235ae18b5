"""The commands `portal keys`: rotation of TOKEN_KEY and FIELD_KEY."""

from typing import Annotated

import typer

from server.cli.console import run, settings_from_environment

app = typer.Typer(
    no_args_is_help=True, help="Rotate TOKEN_KEY and FIELD_KEY without signing anybody out."
)
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("status")
def status(json: Json = False) -> None:
    """Show what still uses an older key, and when the key may be dropped. It changes nothing."""
    from server.cli import key_admin

    report = run(key_admin.key_report(settings_from_environment()))
    typer.echo(report.as_json() if json else "\n".join(report.lines()))


@app.command("rotate")
def rotate(json: Json = False) -> None:
    """Encrypt all fields with the first key of FIELD_KEY, in batches, and show the status.

    An interrupted run is continued by the next one. Tokens get a hash with the first key of
    TOKEN_KEY when they are used.
    """
    from server.cli import key_admin

    settings = settings_from_environment()
    changed = run(key_admin.reencrypt_fields(settings))
    report = run(key_admin.key_report(settings))
    if json:
        typer.echo(report.as_json(changed))
        return
    typer.echo(f"Encrypted with the first key of FIELD_KEY: {changed:,}.")
    typer.echo("\n".join(report.lines()))
