"""The commands `portal sessions`: sign-ins, listed and ended."""

from typing import Annotated

import typer

from server.cli.console import run, settings_from_environment

app = typer.Typer(no_args_is_help=True, help="List sign-ins, and end them.")

Practice = Annotated[str | None, typer.Option(help="Of a practice: pra_…")]
Client = Annotated[
    str | None, typer.Option(help="Of a client, and all people with the same address: cli_…")
]
Contact = Annotated[
    str | None,
    typer.Option(help="Of a contact, and all people with the same address: the row's id."),
]
Address = Annotated[str | None, typer.Option(help="Of an e-mail address, in all practices.")]


@app.command("list")
def listed(
    practice: Practice = None,
    client: Client = None,
    contact: Contact = None,
    address: Address = None,
) -> None:
    """List the valid sign-ins: id, practice, person, begin, last use, end."""
    from server.cli import session_admin

    which = session_admin.SignInFilter(
        practice=practice, client=client, contact=contact, address=address
    )
    for line in run(session_admin.list_sign_ins(settings_from_environment(), which)):
        typer.echo(line)


@app.command("end")
def end(
    id: Annotated[str | None, typer.Argument(help="One sign-in's id, as listed.")] = None,
    practice: Practice = None,
    client: Client = None,
    contact: Contact = None,
    address: Address = None,
) -> None:
    """End sign-ins from their next request on, with the links and codes that were sent.

    Give exactly one selection. Tokens issued by `portal token` stay valid.
    """
    from server.cli import session_admin

    which = session_admin.SignInFilter(id, practice, client, contact, address)
    count = run(session_admin.end_matching(settings_from_environment(), which))
    typer.echo(f"{count} sign-ins ended." if count != 1 else "1 sign-in ended.")
