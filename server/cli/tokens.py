"""The commands `portal token`: tokens, issued, listed and revoked."""

import datetime as dt
from typing import Annotated

import typer

from server.cli.console import confirm, run, settings_from_environment, stop

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
def listed(
    sign_ins: Annotated[
        bool, typer.Option("--sign-ins", help="List the valid sign-ins too, after the tokens.")
    ] = False,
) -> None:
    """List the issued tokens: id, kind, name, scopes, expiry."""
    from server.cli import session_admin, token_admin

    settings = settings_from_environment()
    for line in run(token_admin.list_tokens(settings)):
        typer.echo(line)
    if sign_ins:
        everybody = session_admin.SignInFilter()
        for line in run(session_admin.list_sign_ins(settings, everybody, "portal token list")):
            typer.echo(line)


@app.command("revoke")
def revoke(
    id: Annotated[str | None, typer.Argument(help="Its id, as listed.")] = None,
    all_of: Annotated[
        str | None,
        typer.Option(
            help="Revoke all tokens and end all sign-ins of a client (cli_…), a contact (the row's"
            " id) or a practice (pra_…)."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Revoke all of them without a question.")
    ] = False,
) -> None:
    """Revoke a token, or all tokens and sign-ins of a person or a practice, from the next request
    on.

    --all-of asks first. A script, which can't be asked, needs --yes.
    """
    from server.cli import token_admin

    if (id is None) == (all_of is None):
        stop("Give either a token's id or --all-of.")
    settings = settings_from_environment()
    if all_of is not None:
        owner = run(token_admin.owner_of(settings, all_of))
        confirm(f"Revoke every token and end every sign-in of {owner.description}?", yes=yes)
        typer.echo(run(token_admin.revoke_all(settings, owner)))
    elif id is not None and not run(token_admin.revoked(settings, id)):
        stop(f"There is no valid token {id}.")
    else:
        typer.echo(f"Token {id} is revoked.")
