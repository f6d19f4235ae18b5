"""The commands `portal client`: clients, entered, changed, archived, exported and listed."""

import datetime as dt
import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.console import print_id, run, settings_from_environment
from server.cli.fields import (
    ADDRESS,
    DAY,
    SOURCE,
    Field,
    Json,
    Source,
    given,
    with_fields,
)

app = typer.Typer(
    no_args_is_help=True, help="Enter, change, archive, merge, export, erase and list clients."
)

Practice = Annotated[str, typer.Option(help="The practice: pra_…")]
Client = Annotated[str, typer.Argument(help="The client: cli_…")]
DETAILS = (
    Field("email", str, "The e-mail address that the client signs in with."),
    Field("phone", str, "The telephone number."),
    Field("date_of_birth", dt.date, "The date of birth, which superbills need."),
    Field("clinician", str, "The client's clinician: cln_…"),
    *ADDRESS,
)


@app.command("create")
@with_fields(DETAILS)
def create(
    practice: Practice,
    name: Annotated[str, typer.Option(help="The client's name.")],
    external_id: Annotated[
        str | None,
        typer.Option(help="Their key in another system: the same key again changes this client."),
    ] = None,
    source: Source = SOURCE,
    json: Json = False,
    **details: Any,
) -> None:
    """Enter a client, and print the id."""
    from server.cli import client_admin

    settings, values = settings_from_environment(), given(details) | {"name": name}
    created = client_admin.create_client(settings, practice, values, (source, external_id))
    print_id(run(created), json=json)


@app.command("update")
@with_fields((Field("name", str, "The client's name."), *DETAILS))
def update(
    client: Client,
    clear: Annotated[
        list[str] | None, typer.Option(help="A detail to remove, as phone; may be repeated.")
    ] = None,
    **details: Any,
) -> None:
    """Change the details that are given. Issued documents keep the name that they have."""
    from server.cli import client_admin

    settings = settings_from_environment()
    typer.echo(run(client_admin.update_client(settings, client, given(details), clear or [])))


@app.command("archive")
def archive(
    client: Client,
    on: Annotated[
        dt.date | None,
        typer.Option(help="The day on which the client left (default: today).", **DAY),
    ] = None,
) -> None:
    """Archive a client who has left the practice. The client may still sign in and pay."""
    from server.cli import client_admin

    typer.echo(run(client_admin.archive_client(settings_from_environment(), client, on)))


@app.command("restore")
def restore(client: Client) -> None:
    """Take a client out of the archive."""
    from server.cli import client_admin

    typer.echo(run(client_admin.restore_client(settings_from_environment(), client)))


@app.command("merge")
def merge(
    client: Annotated[str, typer.Argument(help="The record to close: cli_…")],
    into: Annotated[str, typer.Option(help="The record of the same client that goes on: cli_…")],
) -> None:
    """Merge two records of one client: the balance goes to the one that goes on.

    The closed record keeps its documents and history, which the client still sees.
    """
    from server.cli import client_admin

    typer.echo(run(client_admin.merge_clients(settings_from_environment(), client, into)))


@app.command("export")
def export(
    client: Client,
    out: Annotated[Path, typer.Option(help="The ZIP file to write; it must not exist.")],
) -> None:
    """Write a client's whole record to a ZIP file: all data as JSON, lists as CSV, and documents.

    Documents are the files that were given out. The file is for its owner alone.
    """
    from server.cli import client_export

    typer.echo(run(client_export.export_client(settings_from_environment(), client, out)))


@app.command("erase")
def erase(
    client: Client,
    reason: Annotated[str, typer.Option(help="The reason, for the audit log; without names.")],
    despite_balance: Annotated[
        bool, typer.Option("--despite-balance", help="Although the client owes or has credit.")
    ] = False,
    despite_dispute: Annotated[
        bool, typer.Option("--despite-dispute", help="Although a payment is disputed.")
    ] = False,
    despite_retention: Annotated[
        bool, typer.Option("--despite-retention", help="Before the retention has ended.")
    ] = False,
) -> None:
    """Erase a client's personal data for good; amounts, days and the ledger stay.

    Records that are merged into the client are erased too. Stripe is asked to delete the customer.
    On PostgreSQL the owner of the tables erases: DATABASE_OWNER_URL.
    """
    from server.cli import client_erasure

    chosen = {
        "balance": despite_balance,
        "dispute": despite_dispute,
        "retention": despite_retention,
    }
    despite = [name for name, is_chosen in chosen.items() if is_chosen]
    settings = settings_from_environment()
    typer.echo(run(client_erasure.erase(settings, client, reason, despite)))


@app.command("list")
def listed(
    practice: Practice,
    search: Annotated[
        str | None, typer.Option(help="Only clients with this in their name.")
    ] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Only archived clients.")] = False,
    json: Json = False,
) -> None:
    """List the current clients of a practice by name: id, name, e-mail address."""
    from server.cli import client_admin

    listing = client_admin.list_clients(settings_from_environment(), practice, search, archived)
    clients = run(listing)
    if json:
        typer.echo(json_.dumps(clients, ensure_ascii=False, indent=2))
        return
    for client in clients:
        typer.echo(f"{client['id']}  {client['name']}  {client['email'] or ''}".rstrip())
