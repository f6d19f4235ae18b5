"""The commands `portal contact`: contacts and their rights to clients' bills."""

from typing import Annotated

import typer

from models import Relation
from server import contacts
from server.terminal import run, settings_or_stop, stop

app = typer.Typer(
    no_args_is_help=True,
    help="Manage contacts with rights to clients' bills: parents, guardians, partners.",
)


@app.command("link")
def link(
    client: Annotated[str, typer.Argument(help="The client: cli_…")],
    name: Annotated[str, typer.Option(help="The contact's name.")],
    email: Annotated[str, typer.Option(help="The contact's e-mail address, to sign in with.")],
    relation: Annotated[Relation, typer.Option(help="Their relation to the client.")],
    documents: Annotated[bool, typer.Option("--documents", help="They see documents.")] = False,
    pay: Annotated[bool, typer.Option("--pay", help="They may pay.")] = False,
) -> None:
    """Link a contact to a client, with one right or both; again, to change their rights."""
    right = contacts.Right(relation, documents, pay)
    try:
        typer.echo(run(contacts.link(settings_or_stop(), client, name, email, right)))
    except contacts.NotLinked as error:
        stop(str(error))


@app.command("unlink")
def unlink(
    contact: Annotated[str, typer.Argument(help="The contact's id, as listed.")],
    client: Annotated[str, typer.Argument(help="The client: cli_…")],
) -> None:
    """Remove a contact's rights to a client, from their next request on."""
    try:
        typer.echo(run(contacts.unlink(settings_or_stop(), contact, client)))
    except contacts.NotLinked as error:
        stop(str(error))


@app.command("list")
def listed(
    client: Annotated[str, typer.Argument(help="The client: cli_…")],
) -> None:
    """List the contacts of a client: id, relation, name, address, rights."""
    try:
        for line in run(contacts.listed(settings_or_stop(), client)):
            typer.echo(line)
    except contacts.NotLinked as error:
        stop(str(error))
