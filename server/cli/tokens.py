"""The commands `portal token`: tokens, issued, listed and revoked."""

import datetime as dt
from typing import Annotated

import typer

from server.cli.console import run, settings_from_environment, stop

app = typer.Typer(no_args_is_help=True, help="Issue, list and revoke tokens.")


@app.command("create")
def create(
    name: Annotated[str, typer.Option(help="The token's name in the list.")],
    practice: Annotated[str, typer.Option(help="The practice: pra_…")],
    client: Annotated[str | None, typer.Option(help="For a client: cli_…")] = None,
    contact: Annotated[str | None, typer.Option(help="For a contact: their row's id.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="For a program, once for each scope: billing:read, billing:write …"),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="The days until it expires.")] = 90,
) -> None:
    """Issue a token, and print it once. Without client and contact it is for a program of the
    practice: a dashboard, or with billing:write an integration."""
    from server.cli import token_admin

    settings, lasts = settings_from_environment(), dt.timedelta(days=days)
    scopes = scope or ["billing:read"]
    typer.echo(
        run(token_admin.issue_token(settings, name, practice, client, contact, scopes, lasts))
    )


@app.command("list")
def listed() -> None:
    """List the issued tokens: id, kind, name, scopes, expiry. For sign-ins see
    `portal sessions list`."""
    from server.cli import token_admin

    for line in run(token_admin.list_tokens(settings_from_environment())):
        typer.echo(line)


@app.command("revoke")
def revoke(id: Annotated[str, typer.Argument(help="Its id, as listed.")]) -> None:
    """Revoke a token, from its next request on."""
    from server.cli import token_admin

    if not run(token_admin.revoked(settings_from_environment(), id)):
        stop(f"There is no valid token {id}.")
    typer.echo(f"Token {id} is revoked.")
