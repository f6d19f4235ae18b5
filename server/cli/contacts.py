"""The commands `portal contact`: contacts and their rights to clients' bills."""

import datetime as dt
from typing import Annotated, Literal

import typer

from server.cli.console import run, settings_from_environment
from server.cli.fields import DAY

app = typer.Typer(
    no_args_is_help=True,
    help="Manage contacts with rights to clients' bills: parents, guardians, partners.",
)

# The names of models.Relation, which is not imported for `--help`.
RelationName = Literal["PARENT", "GUARDIAN", "PARTNER"]


@app.command("link")
def link(
    client: Annotated[str, typer.Argument(help="The client: cli_…")],
    name: Annotated[str, typer.Option(help="The contact's name.")],
    email: Annotated[str, typer.Option(help="The contact's e-mail address, to sign in with.")],
    relation: Annotated[RelationName, typer.Option(help="Their relation to the client.")],
    documents: Annotated[bool, typer.Option("--documents", help="They see documents.")] = False,
    pay: Annotated[bool, typer.Option("--pay", help="They may pay.")] = False,
    until: Annotated[
        dt.date | None,
        typer.Option(help="The last day of these rights. Without it they have no end.", **DAY),
    ] = None,
) -> None:
    """Link a contact to a client, with one right or both; again, to change their rights."""
    from models import Relation
    from server.cli import contact_admin

    right = contact_admin.Right(Relation(relation), documents, pay, until)
    typer.echo(
        run(contact_admin.link_contact(settings_from_environment(), client, name, email, right))
    )


@app.command("update")
def update(
    contact: Annotated[str, typer.Argument(help="The contact's id, as listed.")],
    name: Annotated[str | None, typer.Option(help="The contact's name.")] = None,
    email: Annotated[
        str | None, typer.Option(help="The contact's e-mail address, to sign in with.")
    ] = None,
) -> None:
    """Change a contact's name or address. Another address ends the contact's sign-ins."""
    from server.cli import contact_admin

    settings = settings_from_environment()
    typer.echo(run(contact_admin.update_contact(settings, contact, name, email)))


@app.command("unlink")
def unlink(
    contact: Annotated[str, typer.Argument(help="The contact's id, as listed.")],
    client: Annotated[str, typer.Argument(help="The client: cli_…")],
) -> None:
    """Remove a contact's rights to a client, from their next request on."""
    from server.cli import contact_admin

    typer.echo(run(contact_admin.unlink_contact(settings_from_environment(), contact, client)))


@app.command("list")
def listed(
    client: Annotated[str, typer.Argument(help="The client: cli_…")],
) -> None:
    """List the contacts of a client: id, relation, name, address, rights and their last day."""
    from server.cli import contact_admin

    for line in run(contact_admin.list_contacts(settings_from_environment(), client)):
        typer.echo(line)
